// An archive made with dcmjs-dimse that commits whatever it is asked for: PORT ROUTER_PORT WAY.
// WAY says where it reports: `same`, the association of the request, or `own`, one that it opens.
// A line of JSON tells each request and how each report was answered.
'use strict';

const { Client, Dataset, Scp, Server, constants, requests, responses } = require('dcmjs-dimse');

const PUSH = '1.2.840.10008.1.20.1';
const WELL_KNOWN = '1.2.840.10008.1.20.1.1';
const [port, routerPort, way] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]];

function tell(what) {
  console.log(JSON.stringify(what));
}

function reportOn(asked) {
  const report = new requests.NEventReportRequest(PUSH, WELL_KNOWN, 1);
  report.setDataset(
    new Dataset({
      TransactionUID: asked.TransactionUID,
      ReferencedSOPSequence: asked.ReferencedSOPSequence,
    })
  );
  report.on('response', (response) => tell({ answered: response.getStatus() }));
  return report;
}

class Archive extends Scp {
  associationRequested(association) {
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      const [first] = context.getTransferSyntaxUids();
      context.setResult(constants.PresentationContextResult.Accept, first);
    }
    this.sendAssociationAccept();
  }

  cStoreRequest(request, answer) {
    const response = responses.CStoreResponse.fromRequest(request);
    response.setStatus(constants.Status.Success);
    answer(response);
  }

  nActionRequest(request, answer) {
    const asked = request.getDataset().getElements();
    tell({ asked: asked.TransactionUID, action: request.getActionTypeId() });
    const response = responses.NActionResponse.fromRequest(request);
    response.setStatus(constants.Status.Success);
    answer(response);
    const report = reportOn(asked);
    if (way === 'same') {
      this.sendRequests(report);
      return;
    }
    const client = new Client();
    client.addRequest(report);
    client.on('networkError', (error) => console.error(`network error: ${error}`));
    client.send('127.0.0.1', routerPort, 'DCMJS', 'ROUTER');
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

const server = new Server(Archive);
server.on('networkError', (error) => console.error(`network error: ${error}`));
server.listen(port);
