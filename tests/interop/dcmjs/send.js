// A Storage SCU made with dcmjs-dimse: HOST PORT CALLED FILES. It decodes each file and writes it anew in the same syntax,
// over an association for each, since it gives up all that are waiting when one fails. Prints a JSON list of statuses
// (null: none came).
'use strict';

const { Client, requests, log } = require('dcmjs-dimse');

const [host, port, called, ...files] = process.argv.slice(2);
log.level = 'error';

function send(file) {
  return new Promise((resolve) => {
    let status = null;
    const request = new requests.CStoreRequest(file);
    request.on('response', (response) => {
      status = response.getStatus();
    });
    const client = new Client();
    client.on('networkError', (error) => console.error(`${file}: ${error}`));
    client.on('closed', () => resolve(status));
    client.addRequest(request);
    client.send(host, Number(port), 'DCMJS', called, { pduTimeout: 5000, associationLingerTimeout: 0 });
  });
}

async function main() {
  const statuses = [];
  for (const file of files) {
    statuses.push(await send(file));
  }
  console.log(JSON.stringify(statuses));
}

main();
