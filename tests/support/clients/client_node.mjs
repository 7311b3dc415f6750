// @kubernetes/client-node's Exec, Attach and PortForward, as its examples use them: CONFIG PORT LIBRARY.
import { PassThrough, Readable } from "node:stream";
import { pathToFileURL } from "node:url";

const [config, port, library] = process.argv.slice(2);
const k8s = await import(pathToFileURL(library));
const kubeconfig = new k8s.KubeConfig();
kubeconfig.loadFromFile(config);

async function run(command, input) {
  const [out, err] = [new PassThrough(), new PassThrough()];
  let said = "", wrong = "";
  out.on("data", (piece) => { said += piece; });
  err.on("data", (piece) => { wrong += piece; });
  const status = await new Promise((resolve, reject) =>
    new k8s.Exec(kubeconfig).exec("default", "talk", "main", command, out, err, input, false, resolve).catch(reject));
  await new Promise(setImmediate);
  return [said.trim(), wrong.trim(), status.details?.causes?.[0]?.message ?? status.status];
}

console.log(...await run(["echo", "false", ""], null));
console.log(...await run(["sh", "-c", "read line; echo got $line; echo wrong >&2; exit 3"], Readable.from(["typed\n"])));
const [input, output] = [new PassThrough(), new PassThrough()];
await new k8s.PortForward(kubeconfig).portForward("default", "talk", [Number(port)], output, null, input);
input.write("ping");
console.log(await new Promise((resolve) => output.once("data", (piece) => resolve(piece.toString()))));
process.exit(0);
