// A modality made with dcmjs-dimse that asks the router to commit CT slices and ends when it has
// its report: ROUTER_PORT PORT LINGER_MS AE_TITLE TRANSACTION UID...
// It stays on its association for so long, and takes reports at its port, too.
// A line of JSON tells the response, and each report with the way that it came.
'use strict';

const { Client, Dataset, Scp, Server, constants, requests, responses } = require('dcmjs-dimse');

const PUSH = '1.2.840.10008.1.20.1';
const WELL_KNOWN = '1.2.840.10008.1.20.1.1';
const CT = '1.2.840.10008.5.1.4.1.1.2';
const [routerPort, port, linger] = process.argv.slice(2, 5).map(Number);
const [title, transaction, ...uids] = process.argv.slice(5);
let [closed, told] = [false, false];

function tell(what) {
  console.log(JSON.stringify(what));
}

function endWhenDone() {
  if (closed && told) process.exit(0);
}

function several(sequence) {
  return [sequence || []].flat();
}

function take(way, request, answer) {
  const report = request.getDataset().getElements();
  const failed = several(report.FailedSOPSequence);
  tell({
    way,
    event: request.getEventTypeId(),
    transaction: report.TransactionUID,
    kept: several(report.ReferencedSOPSequence).map((one) => one.ReferencedSOPInstanceUID),
    failed: Object.fromEntries(failed.map((one) => [one.ReferencedSOPInstanceUID, one.FailureReason])),
  });
  const response = responses.NEventReportResponse.fromRequest(request);
  response.setStatus(constants.Status.Success);
  answer(response);
  told = true;
}

class Listening extends Scp {
  associationRequested(association) {
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      const [first] = context.getTransferSyntaxUids();
      context.setResult(constants.PresentationContextResult.Accept, first);
      tell({ roles: [context.getUserRole(), context.getProviderRole()] });
    }
    this.sendAssociationAccept();
  }

  nEventReportRequest(request, answer) {
    take('own', request, answer);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
    setTimeout(endWhenDone, 50);
  }
}

const server = new Server(Listening);
server.on('networkError', (error) => console.error(`network error: ${error}`));
server.listen(port);

const request = new requests.NActionRequest(PUSH, WELL_KNOWN, 1);
request.setDataset(
  new Dataset({
    TransactionUID: transaction,
    ReferencedSOPSequence: uids.map((uid) => ({
      ReferencedSOPClassUID: CT,
      ReferencedSOPInstanceUID: uid,
    })),
  })
);
request.on('response', (response) => tell({ status: response.getStatus() }));
const client = new Client();
client.addRequest(request);
client.on('nEventReportRequest', (report, answer) => take('same', report, answer));
client.on('networkError', (error) => console.error(`network error: ${error}`));
client.on('closed', () => {
  closed = true;
  endWhenDone();
});
client.send('127.0.0.1', routerPort, title, 'ROUTER', { associationLingerTimeout: linger });
