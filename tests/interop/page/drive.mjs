// Drives the dashboard of one node in Chromium and compares what it shows with what APIs say: the node's own (the Beacon API and
// /metrics beside the views that feed the page) and its neighbours'. Arguments: where node_modules is, the node's URL, where
// pictures go, the hostile agent string, the neighbours' URLs.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [modules, url, pictures, hostile, ...neighbours] = process.argv.slice(2);
const require = createRequire(join(modules, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const LOAD_MAX = 300 * 1024; // bytes of a page load
const WAIT_MS = 30000; // a view is drawn anew each second; others load this machine

const get = async (path, base = url) => (await (await fetch(base + path)).json()).data;
const sorted = (list) => [...list].sort();
let checks = 0;

// A moving network: what is shown and what is told must be the same at some moment, soon.
async function eventually(what, both) {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    const [shown, told] = await both();
    try {
      assert.deepEqual(shown, told);
      checks++;
      return told;
    } catch (e) {
      if (Date.now() > end) throw new Error(`${what}: ${e.message.slice(0, 1500)}`);
    }
    await new Promise((r) => setTimeout(r, 150));
  }
}
function check(condition, what) {
  assert.ok(condition, what);
  checks++;
}

// As docs/api.md has it: bit i of byte i / 8, the lowest first.
const others = (topic, ids) => ids.filter((_, i) => (parseInt(topic.subscribed.slice(2 + 2 * (i >> 3), 4 + 2 * (i >> 3)), 16) >> (i & 7)) & 1);

async function metrics() {
  const found = new Map();
  for (const line of (await (await fetch(url + "/metrics")).text()).split("\n")) {
    const m = /^([a-z0-9_]+)(?:\{(.*)\})? (\S+)$/i.exec(line);
    if (m) found.set(m[1] + (m[2] ? `{${m[2]}}` : ""), Number(m[3]));
  }
  return found;
}
function bytes(n) { // as the page rounds
  if (n < 1000) return `${Math.round(n)} B`;
  const i = Math.min(4, Math.floor(Math.log10(n) / 3));
  return `${(n / 1000 ** i).toPrecision(3)} ${["B", "kB", "MB", "GB", "TB"][i]}`;
}

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, colorScheme: "light" });
const page = await context.newPage();
const complaints = [], requests = [];
page.on("console", (m) => ["error", "warning"].includes(m.type()) && complaints.push(m.text()));
page.on("pageerror", (e) => complaints.push(String(e)));
page.on("request", (r) => requests.push(r.url()));
let loaded = 0;
const wire = await context.newCDPSession(page);
await wire.send("Network.enable");
wire.on("Network.dataReceived", (e) => { loaded += e.dataLength; });
wire.on("Network.responseReceived", (e) => { loaded += JSON.stringify(e.response.headers).length; });

const show = async (view) => {
  await page.click(`nav a[href="#${view}"]`);
  await page.waitForSelector(`#view-${view}:not([hidden])`);
};
const cells = (selector) => page.$$eval(selector, (list) => list.map((e) => e.textContent));

// ---- the load: small, complete, from here only ----
const answer = await page.goto(url, { waitUntil: "load" });
check((answer.headers()["content-security-policy"] ?? "").includes("default-src 'none'"), "a content security policy");
await page.waitForSelector("#state[data-is=live]", { timeout: WAIT_MS });
await page.waitForSelector("#vital-head-slot");
const load = loaded; // all files and the first views
check(load > 40000 && load < LOAD_MAX, `a page load takes ${load} bytes`);

// ---- overview ----
await eventually("head slot", async () => [await page.textContent("#vital-head-slot"), (await get("/eth/v1/beacon/headers/head")).header.message.slot]);
await eventually("peers", async () => [await page.textContent("#vital-peers"), (await get("/eth/v1/node/peer_count")).connected]);
check((await page.textContent("#about")).includes((await get("/eth/v1/node/identity")).peer_id), "the node's own id");
await eventually("protocols", async () => {
  const told = [...(await metrics())].filter(([k]) => k.startsWith("p2pd_protocol_bytes_total") && k.includes('"in"'));
  return [sorted(await cells("#protocols tbody th")), sorted(told.map(([k]) => /protocol="([^"]*)"/.exec(k)[1]))];
});

// ---- mesh: by keyboard, and as the neighbours see it ----
await show("mesh");
await page.focus("#topics button.row >> nth=2");
await page.keyboard.press("Enter");
await page.waitForSelector("#topics tr[aria-current] button.row");
check((await page.$eval("#graph svg", (s) => s.dataset.topic)) === (await page.textContent("#topics tr[aria-current] button.row")), "Enter chooses a topic");
await page.click("#topics button.row >> text=beacon_block");
await page.waitForSelector('#graph svg[data-topic="beacon_block"]');
const mesh = await eventually("mesh of beacon_block", async () => {
  const t = await get("/p2pd/v1/view/topics"), block = t.topics.find((x) => x.name === "beacon_block" && x.joined);
  return [sorted(await page.$$eval('#graph g[data-bond="mesh"]', (l) => l.map((g) => g.dataset.peer))), sorted(block.mesh.map((i) => t.peers[i]))];
});
check(mesh.length > 0, "somebody is in the mesh");
await eventually("who is subscribed only", async () => {
  const t = await get("/p2pd/v1/view/topics"), all = [], told = [];
  for (const x of t.topics.filter((y) => y.joined && y.subscribers > y.mesh.length).slice(0, 3)) {
    await page.click(`#topics button.row >> text="${x.name}"`);
    all.push(sorted(await page.$$eval('#graph g[data-bond="subscribed"]', (l) => l.map((g) => g.dataset.peer))));
    told.push(sorted(others(x, t.peers)));
    assert.equal(others(x, t.peers).length, x.subscribers - x.mesh.length);
  }
  await page.click("#topics button.row >> text=beacon_block");
  return [all, told];
});
const me = (await get("/eth/v1/node/identity")).peer_id;
await eventually("the neighbours' meshes", async () => {
  const seen = [];
  for (const base of neighbours) {
    const t = await get("/p2pd/v1/view/topics", base), id = (await get("/eth/v1/node/identity", base)).peer_id;
    const block = t.topics.find((x) => x.name === "beacon_block" && x.joined);
    if (block.mesh.some((i) => t.peers[i] === me)) seen.push(id);
  }
  return [sorted(await page.$$eval('#graph g[data-bond="mesh"]', (l) => l.map((g) => g.dataset.peer))), sorted(seen)];
});
await eventually("mesh sizes", async () => {
  const told = new Map([...(await metrics())].filter(([k]) => k.startsWith("gossipsub_mesh_peer_counts")).map(([k, v]) => [/hash="\/eth2\/\w+\/(\w+)\//.exec(k)[1], String(v)]));
  const shown = await page.$$eval("#topics tbody tr", (l) => l.map((r) => [r.cells[0].textContent, r.cells[1].textContent]));
  return [sorted(shown.map(String)), sorted([...told].map(String))];
});
await page.click("#view-mesh summary");
check((await page.$$("#graph-table tbody tr")).length >= mesh.length, "the graph's table has its peers");
await page.screenshot({ path: join(pictures, "page-light.png") });

// ---- coverage ----
await show("coverage");
await eventually("heat maps", async () => {
  const told = [...(await metrics())].filter(([k]) => k.startsWith("p2pd_subnet_peers")).map(([k, v]) => [/kind="(\w+)"/.exec(k)[1], Number(/subnet="(\d+)"/.exec(k)[1]), v]);
  const shown = [];
  for (const [id, kind] of [["map-attestation", "attestation"], ["map-sync", "sync"], ["map-columns", "column"]]) {
    shown.push(...(await page.$$eval(`#${id} td`, (l) => l.map((c) => [Number(c.dataset.n), Number(c.firstChild.textContent)]))).map(([n, p]) => [kind, n, p]));
  }
  return [shown, told];
});
await eventually("our custody", async () => [(await page.$$('#map-columns td[data-own="custody"]')).length, Number((await get("/eth/v1/node/identity")).metadata.custody_group_count)]);
await eventually("columns that lack peers", async () => [await page.$$eval('#map-columns td[data-lacking="true"]', (l) => l.map((c) => c.dataset.n)), (await get("/p2pd/v1/discovery")).lacking.columns]);

// ---- peers: the hostile one too ----
await show("peers");
await eventually("peers", async () => {
  const told = (await get("/eth/v1/node/peers?state=connected")).map((p) => `${p.peer_id} ${p.direction} ${p.agent}`);
  return [sorted(await page.$$eval("#peers tbody tr:not(.parts)", (l) => l.map((r) => `${r.dataset.key} ${r.cells[3].textContent} ${r.cells[1].title}`))), sorted(told)];
});
check((await page.$$eval("#peers td.agent", (l) => l.map((c) => [c.title, c.textContent]))).some(([whole, cut]) => whole === hostile && cut === hostile.slice(0, 96) + "…"), "the hostile agent string is shown as it was said");
check((await page.$$("#peers img, #peers script, #peers b")).length === 0 && !(await page.title()).includes("owned"), "and is text only");
await page.focus('#peers th[data-column="in"] button');
await page.keyboard.press("Enter");
check((await page.getAttribute('#peers th[data-column="in"]', "aria-sort")) === "descending", "a column sorts by keyboard");
await page.fill("#peer-filter", "onerror");
await eventually("the filter", async () => [(await page.$$("#peers tbody tr")).length, 1]);
await page.focus("#peers tbody button.row");
await page.keyboard.press("Enter");
await page.waitForSelector("#peers tr.parts");
await eventually("the rating's parts", async () => {
  const v = await page.$$eval("#peers tr.parts dl:first-child dd", (l) => l.map((e) => Number(e.textContent)));
  const names = await page.$$eval("#peers tr.parts dl:first-child dt", (l) => l.map((e) => e.textContent.replace("rating: ", "")));
  const p = (await get("/p2pd/v1/view/peers")).peers.find((x) => x.agent === hostile);
  const sum = v.slice(0, -1).reduce((a, b) => a + b, 0);
  return [[names.slice(0, -1), Math.abs(sum - v[v.length - 1]) < 0.05], [p.rating.parts.map((x) => x.name), true]];
});
await eventually("the peer's story", async () => {
  const id = (await get("/p2pd/v1/view/peers")).peers.find((x) => x.agent === hostile).peer_id;
  const told = (await get(`/p2pd/v1/peers/why?peer=${id}`)).events.slice(-12).map((e) => e.reason);
  return [await page.$$eval("#peers tr.parts .story li", (l) => l.map((e) => e.dataset.reason)), told];
});
check((await page.evaluate(() => document.activeElement?.getAttribute("aria-expanded"))) === "true", "focus stays on the row that was opened");
await eventually("a round trip is measured", async () => [(await get("/p2pd/v1/view/peers")).peers.every((p) => p.rtt_ms > 0), true]);
await page.fill("#peer-filter", "");

// ---- bandwidth ----
await show("bandwidth");
for (const direction of ["in", "out"]) {
  await page.check(`input[name=direction][value=${direction}]`);
  await eventually(`bytes ${direction}`, async () => {
    const m = await metrics();
    const told = [...m].filter(([k]) => k.startsWith("p2pd_gossip_topic_bytes_total") && k.includes("/beacon_block/") && k.includes(`direction="${direction}"`));
    const shown = await page.$$eval("#bandwidth tbody tr", (l) => l.filter((r) => r.cells[0].textContent === "beacon_block").map((r) => [r.cells[1].textContent, ...[...r.querySelectorAll("[data-cause]")].filter((c) => c.textContent !== "–").map((c) => `${c.dataset.cause} ${c.textContent}`)]));
    return [shown.map((row) => [row[0], ...sorted(row.slice(1))]), [[bytes(told.reduce((a, [, v]) => a + v, 0)), ...sorted(told.map(([k, v]) => `${/cause="(\w+)"/.exec(k)[1]} ${bytes(v)}`))]]];
  });
}
await page.check("input[name=rows][value=name]");
await eventually("each topic has a row", async () => [(await cells("#bandwidth tbody th")).filter((n) => n.startsWith("beacon_attestation_")).length, 64]);

// ---- blocks ----
await show("blocks");
await eventually("the last blocks", async () => {
  const told = (await get("/p2pd/v1/view/blocks")).blocks.map((b) => `${b.slot} ${b.root} ${b.copies} ${b.carriers[0].peer_id}`);
  return [await page.$$eval("#blocks tbody tr", (l) => l.map((r) => `${r.cells[0].textContent} ${r.cells[1].title} ${r.cells[5].textContent} ${r.cells[6].title}`)), told];
});
const ids = new Set(await Promise.all(neighbours.map(async (n) => (await get("/eth/v1/node/identity", n)).peer_id)));
for (const block of (await get("/p2pd/v1/view/blocks")).blocks.slice(0, 4)) {
  const header = await get(`/eth/v1/beacon/headers/${block.root}`);
  check(header.header.message.slot === String(block.slot), `block ${block.root} is of slot ${block.slot}`);
  check(block.carriers.every((c) => ids.has(c.peer_id)), "blocks come from the nodes of this network");
  check(block.carriers.every((c, i) => i === 0 || c.delay_ms >= block.carriers[i - 1].delay_ms) && block.carriers[0].delay_ms < 3000, "in the order of their time, within the slot");
}

// ---- log: levels are changed while it runs ----
await show("log");
await page.fill("#levels", "info,gossip=loud");
await page.keyboard.press("Enter");
await eventually("a wrong level is refused", async () => [(await page.textContent("#levels-answer")).includes("gossip=loud"), true]);
check((await get("/p2pd/v1/log")).levels === "info", "and nothing changes");
await page.fill("#levels", "info,gossip=debug");
await page.click("#levels-form button");
await eventually("levels", async () => [(await get("/p2pd/v1/log")).levels, "info,gossip=debug"]);
await page.waitForSelector('#lines > div[data-level="debug"]', { state: "attached", timeout: WAIT_MS });
await eventually("the log's tail", async () => {
  const shown = await page.$$eval("#lines > div", (l) => l.map((e) => [Number(e.dataset.number), e.dataset.level]));
  const told = (await get(`/p2pd/v1/log?after=${shown[0][0] - 1}`)).lines.map((x) => [x.number, x.level]).slice(0, shown.length);
  return [shown.slice(0, told.length), told];
});
await page.fill("#levels", "info");
await page.click("#levels-form button");
await eventually("levels again", async () => [(await get("/p2pd/v1/log")).levels, "info"]);

// ---- keyboard: everything is reached, in order, and seen ----
await page.goto(url + "#overview");
await page.reload();
await page.waitForSelector("#state[data-is=live]");
const reached = [];
for (let i = 0; i < 12; i++) {
  await page.keyboard.press("Tab");
  reached.push(await page.evaluate(() => {
    const e = document.activeElement, o = getComputedStyle(e);
    return { what: e.textContent.trim(), seen: e.className === "skip" || (o.outlineStyle !== "none" && parseFloat(o.outlineWidth) >= 2) };
  }));
}
const order = reached.map((r) => r.what);
check(order[0].startsWith("Skip") && ["Pause", "Overview", "Mesh", "Coverage", "Peers", "Bandwidth", "Blocks", "Log"].every((w) => order.includes(w)), `Tab reaches ${order.join(", ")}`);
check(reached.every((r) => r.seen), "focus is seen everywhere");
await page.focus('nav a[href="#blocks"]');
await page.keyboard.press("Enter");
await page.waitForSelector("#view-blocks:not([hidden])");
check((await page.getAttribute('nav a[href="#blocks"]', "aria-current")) === "page", "Enter opens a view, and the navigation says so");
check(await page.evaluate(() => document.activeElement.id === "main"), "focus moves to the view");
await page.click("#pause");
const paused = requests.length;
await page.waitForSelector("#state[data-is=paused]");
await page.waitForTimeout(1500); // the only way to see that nothing happens
const seen = await page.textContent("#vital-uptime");
check(requests.length === paused, "a paused page asks for nothing");
await page.click("#pause");
await eventually("and goes on", async () => [(await page.textContent("#vital-uptime")) !== seen, true]);

// ---- light, dark, and what axe-core says in both ----
const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
const light = await background();
await page.emulateMedia({ colorScheme: "dark" });
await eventually("dark by the system", async () => [(await background()) !== light, true]);
await page.click("#theme");
check((await page.textContent("#theme")) === "Theme: light" && (await background()) === light, "light by choice");
await page.click("#theme");
check((await page.textContent("#theme")) === "Theme: dark" && (await background()) !== light, "dark by choice");
await page.reload();
await page.waitForSelector("#state[data-is=live]");
check((await background()) !== light, "the choice is kept");
const found = [];
for (const theme of ["dark", "light"]) {
  await page.evaluate((t) => setTheme(t), theme);
  for (const view of ["overview", "mesh", "coverage", "peers", "bandwidth", "blocks", "log"]) {
    await show(view);
    await page.waitForTimeout(50); // two frames, for colours
    if (theme === "dark" && view === "peers") await page.click("#peers tbody button.row >> nth=0");
    // What depends on the theme is contrast; all other rules are looked at once.
    const result = await page.evaluate(async ([source, only]) => {
      window.axe ?? new Function(source)();
      return window.axe.run(document, { resultTypes: ["violations"], ...(only && { runOnly: only }) });
    }, [axe, theme === "light" ? ["color-contrast"] : null]).catch((e) => ({ violations: [{ id: "axe did not run", help: e.message, nodes: [] }] }));
    for (const v of result.violations) found.push(`${theme} ${view}: ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 120)).join(" | ")}`);
    checks++;
    if (theme === "dark") await page.screenshot({ path: join(pictures, `page-dark-${view}.png`) });
  }
}
// ---- a view that is opened comes at once: that makes no rate ----
const scales = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 };
for (const view of ["overview", "peers", "blocks", "overview", "coverage", "mesh", "overview"]) {
  await show(view);
  await page.waitForTimeout(120); // some answers of the new stream
  const [, n, unit] = /([\d.]+) (\w+)\/s/.exec(await page.textContent("#vital-in")), o = await get("/p2pd/v1/view/overview");
  check(Number(n) * scales[unit] < (o.bytes.in + o.bytes.udp_in) / 4, `${n} ${unit}/s of ${o.bytes.in} bytes in all`);
}

// ---- a narrow window: nothing is lost to the right ----
await page.setViewportSize({ width: 390, height: 800 });
const wide = [];
for (const view of ["overview", "mesh", "coverage", "peers", "bandwidth", "blocks", "log"]) {
  await show(view);
  if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) wide.push(view);
  if (view === "mesh") await page.screenshot({ path: join(pictures, "page-narrow.png") });
}
check(wide.length === 0, `wider than a narrow window: ${wide}`);
check(found.length === 0, `axe-core finds: ${found.join("\n")}`);

// ---- other sites see and change nothing ----
const other = await context.newPage();
await other.goto(neighbours[0]);
const taken = await other.evaluate(async (base) => {
  const tries = [];
  for (const [path, how] of [["/p2pd/v1/view/peers", {}], ["/p2pd/v1/log?levels=trace", { method: "PUT" }], ["/p2pd/v1/log?levels=trace", { method: "PUT", mode: "no-cors" }]]) {
    tries.push(await fetch(base + path, how).then((r) => (r.ok ? "read" : "refused"), () => "refused"));
  }
  return tries;
}, url);
check(taken.every((t) => t === "refused"), `another site's page: ${taken}`);
check((await get("/p2pd/v1/log")).levels === "info", "another site changes no level");
check(requests.every((r) => r.startsWith(url)), `requests elsewhere: ${requests.filter((r) => !r.startsWith(url))}`);
const refused = complaints.filter((c) => c.includes("400 (Bad Request)")); // the wrong level above
check(complaints.length === refused.length && refused.length === 1, `the browser complains: ${complaints.join(" | ")}`);
await browser.close();
console.log(`note: ${checks} checks of the page hold; a page load takes ${(load / 1024).toFixed(0)} KiB; no violation by axe-core in 7 views, light and dark`);
