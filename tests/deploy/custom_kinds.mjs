// Checks objects (JSON on standard input) against the definitions of KEDA and the Prometheus operator. Arguments: the two
// folders that scripts/install_peers.sh has put the definitions into. Prints a line for each object that does not fit.
import fs from "node:fs";

const [keda, prometheus] = process.argv.slice(2);
const kinds = {
  ...(await import(`${keda}/node_modules/@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject.js`)),
  ...(await import(`${keda}/node_modules/@kubernetes-models/keda/keda.sh/v1alpha1/TriggerAuthentication.js`)),
  ...(await import(`${prometheus}/node_modules/@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor.js`)),
  ...(await import(`${prometheus}/node_modules/@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule.js`)),
};
for (const object of JSON.parse(fs.readFileSync(0, "utf-8"))) {
  try {
    new kinds[object.kind](object).validate();
  } catch (error) {
    console.log(`${object.kind}: ${error.message}`);
  }
}
