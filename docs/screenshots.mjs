// Takes the pictures of the README from a demo that is up.
//
//   make demo UI=1 [DAG=dag_id]            # in one terminal; note the URL it prints
//   cd /tmp && npm install playwright-core # in another, with chromium installed
//   node <repository>/docs/screenshots.mjs http://127.0.0.1:<port> [dag_id]
//
// The picture is the graph of the DAG's latest run, as images/<dag_id>.png beside this file. The other picture of the
// tomography example, images/tomography_slice.png, is the file comparison.png that its demo leaves in its folder.

import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

// playwright-core is looked for in the folder this is started from: the repository has no node_modules.
const { chromium } = createRequire(join(process.cwd(), "x.js"))("playwright-core");

const [url, dag = "instrument_to_archive"] = process.argv.slice(2);
if (!url) {
  console.error("usage: node screenshots.mjs <Airflow URL> [dag_id]");
  process.exit(2);
}
// A graph of more tasks than this gets the whole width, without the panel beside it, or nobody could read it.
const SHORT = 6;
const WIDTH = 1500;
const LONG_HEIGHT = 520;
const picture = join(dirname(fileURLToPath(import.meta.url)), "images", `${dag}.png`);

const { access_token: token } = await (await fetch(`${url}/auth/token`)).json();
const answer = await fetch(`${url}/api/v2/dags/${dag}/dagRuns?order_by=-run_after&limit=1`, {
  headers: { Authorization: `Bearer ${token}` },
});
const run = (await answer.json()).dag_runs[0];
if (run?.state !== "success") throw new Error(`the latest run of ${dag} is ${run?.state ?? "missing"}`);

const profile = mkdtempSync(join(tmpdir(), "screenshots-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  viewport: { width: WIDTH, height: 760 },
  colorScheme: "light",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
try {
  const page = await context.newPage();
  await page.goto(`${url}/dags/${dag}/runs/${encodeURIComponent(run.dag_run_id)}`);
  await page.click('button[value="graph"]');
  await page.waitForSelector(".react-flow__node");
  await page.waitForLoadState("networkidle").catch(() => {});
  if ((await page.locator(".react-flow__node").count()) > SHORT) {
    await page.click('button[aria-label="Collapse Details Panel"]');
    await page.setViewportSize({ width: WIDTH, height: LONG_HEIGHT });
    await page.waitForTimeout(1000); // the panel moves away
    await page.click('button[aria-label="Fit View"]');
  }
  await page.waitForTimeout(2000); // the graph moves into place
  await page.screenshot({ path: picture });
  console.log(picture);
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
