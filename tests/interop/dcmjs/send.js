// A Storage SCU made with dcmjs-dimse: HOST PORT CALLED FILES. It decodes each file and writes it anew in the same syntax.
// Prints a JSON list of statuses (null: none came).
'use strict';

const { Client, requests, constants } = require('dcmjs-dimse');

const [host, port, called, ...files] = process.argv.slice(2);
const statuses = files.map(() => null);
const client = new Client();

files.forEach((file, number) => {
  let request;
  try {
    request = new requests.CStoreRequest(file);
  } catch (error) {
    console.error(`${file}: ${error.message}`);
    return;
  }
  request.on('response', (response) => {
    statuses[number] = response.getStatus();
  });
  client.addRequest(request);
});
client.on('networkError', (error) => console.error(`network error: ${error}`));
client.on('closed', () => console.log(JSON.stringify(statuses)));
client.send(host, Number(port), 'DCMJS', called);
