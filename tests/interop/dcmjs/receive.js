// A Storage SCP made with dcmjs-dimse: PORT FOLDER. Every object becomes a file with the bytes that came.
'use strict';

const fs = require('fs');
const path = require('path');
const { Writable } = require('stream');
const { Dataset, Server, Scp, constants, responses } = require('dcmjs-dimse');

const [port, folder] = [Number(process.argv[2]), process.argv[3]];
let stored = 0;

class Collector extends Writable {
  constructor(request) {
    super();
    this.request = request;
    this.chunks = [];
  }

  _write(chunk, encoding, done) {
    this.chunks.push(Buffer.from(chunk));
    done();
  }
}

function element(number, vr, value) {
  const padded = value.length % 2 ? value + '\0' : value;
  const head = Buffer.from([0x02, 0x00, number, 0x00, vr.charCodeAt(0), vr.charCodeAt(1), 0, 0]);
  head.writeUInt16LE(padded.length, 6);
  return Buffer.concat([head, Buffer.from(padded, 'latin1')]);
}

function part10(request, transferSyntax, dataSet) {
  const meta = [
    element(0x02, 'UI', request.getAffectedSopClassUid()),
    element(0x03, 'UI', request.getAffectedSopInstanceUid()),
    element(0x10, 'UI', transferSyntax),
  ];
  return Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), ...meta, dataSet]);
}

class Keeper extends Scp {
  associationRequested(association) {
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      const [first] = context.getTransferSyntaxUids();
      context.setResult(constants.PresentationContextResult.Accept, first);
    }
    this.sendAssociationAccept();
  }

  createStoreWritableStream(context, request) {
    return new Collector(request);
  }

  createDatasetFromStoreWritableStream(collector, context, done) {
    const transferSyntax = context.getAcceptedTransferSyntaxUid();
    const name = `${String(++stored).padStart(6, '0')}.dcm`;
    const unfinished = path.join(folder, '..', `${name}.part`);
    const content = part10(collector.request, transferSyntax, Buffer.concat(collector.chunks));
    fs.writeFileSync(unfinished, content);
    fs.renameSync(unfinished, path.join(folder, name));
    done(new Dataset({}, transferSyntax));
  }

  cStoreRequest(request, answer) {
    const response = responses.CStoreResponse.fromRequest(request);
    response.setStatus(constants.Status.Success);
    answer(response);
  }

  cEchoRequest(request, answer) {
    const response = responses.CEchoResponse.fromRequest(request);
    response.setStatus(constants.Status.Success);
    answer(response);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

const server = new Server(Keeper);
server.on('networkError', (error) => console.error(`network error: ${error}`));
server.listen(port);
