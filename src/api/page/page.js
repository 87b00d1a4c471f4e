// The dashboard of one node. No framework, no network but this node. Everything that a peer may have chosen (agents,
// addresses) becomes a text node or an attribute of ours, never markup.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const HISTORY = 120;   // samples of the bandwidth's line: two minutes
const RATE_MS = 600;    // between two samples, at least
const LINES_MAX = 1000; // of the log kept in the page
const STORY_MAX = 12;  // events of a peer shown, the newest
const STORY_MS = 5000; // between two looks at them
const CAUSES = ["first", "duplicate", "own", "service", "ihave", "iwant", "idontwant", "control"];
const CAUSE_TEXT = {
  first: "first arrivals; out: forwarded", duplicate: "copies of known messages", own: "published by this node", service: "sent because asked for",
  ihave: "offers", iwant: "requests for what was offered", idontwant: "what is not wanted again", control: "subscriptions, GRAFT, PRUNE",
};
const state = { data: {}, before: {}, at: {}, history: [], topic: null, sort: ["rating", -1], open: new Set(), stories: new Map(), paused: false, line: 0, levels: "" };
const $ = (id) => document.getElementById(id);

// ---- building ----
function make(ns, tag, attributes, children) {
  const e = ns ? document.createElementNS(ns, tag) : document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {})) {
    if (v === null || v === undefined || v === false) continue;
    if (k === "on") for (const [event, f] of Object.entries(v)) e.addEventListener(event, f);
    else if (k === "style") for (const [p, x] of Object.entries(v)) e.style.setProperty(p, x);
    else e.setAttribute(k, v === true ? "" : v);
  }
  e.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined).map((c) => (c instanceof Node ? c : document.createTextNode(String(c)))));
  return e;
}
const h = (tag, attributes, ...children) => make(null, tag, attributes, children);
const s = (tag, attributes, ...children) => make(SVG, tag, attributes, children);

// What a remote chose: controls and marks that turn the writing around become visible, and it ends somewhere.
function told(text, max = 96) {
  const plain = String(text).replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
  return plain.length > max ? plain.slice(0, max) + "…" : plain;
}
function bytes(n) {
  if (n < 1000) return `${Math.round(n)} B`;
  const i = Math.min(4, Math.floor(Math.log10(n) / 3));
  return `${(n / 1000 ** i).toPrecision(3)} ${["B", "kB", "MB", "GB", "TB"][i]}`;
}
const short = (id) => (id.length > 16 ? `${id.slice(0, 4)}…${id.slice(-6)}` : id);
const ms = (x) => (x === null || x === undefined ? "–" : x < 10 ? `${x.toFixed(1)} ms` : `${Math.round(x)} ms`);
function span(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}
// Places in a list, from a hex string of bits, the lowest first.
const places = (hex) => [...hex.slice(2)].flatMap((c, i) => [0, 1, 2, 3].filter((b) => (parseInt(c, 16) >> b) & 1).map((b) => (i ^ 1) * 4 + b));
const sum = (o) => Object.values(o).reduce((a, b) => a + b, 0);

function facts(dl, rows) {
  dl.replaceChildren(...rows.flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)]));
}
function head(table, names) {
  table.tHead.replaceChildren(h("tr", {}, names.map((n) => h("th", { scope: "col", class: n.num ? "num" : null }, n.text ?? n))));
}
// Rows are replaced by key, so that focus and selection stay where they are.
function rows(body, list, key, build) {
  const old = new Map([...body.children].map((r) => [r.dataset.key, r]));
  const focused = document.activeElement && body.contains(document.activeElement) ? document.activeElement.closest("tr")?.dataset.key : null;
  const next = list.map((x) => {
    const k = key(x), row = build(x);
    row.dataset.key = k;
    const had = old.get(k);
    if (had && had.isEqualNode(row)) return had;
    return row;
  });
  if (next.length !== body.children.length || next.some((r, i) => body.children[i] !== r)) body.replaceChildren(...next);
  if (focused !== null && !body.contains(document.activeElement)) {
    const row = next.find((r) => r.dataset.key === focused);
    row?.querySelector("button, a, input")?.focus();
  }
}

// ---- overview ----
function rate(name, get) {
  const now = state.data[name], before = state.before[name];
  const seconds = (state.at[name] - state.at["before " + name]) / 1000;
  return now && before && seconds > 0 ? Math.max(0, (get(now) - get(before)) / seconds) : 0;
}

function drawVitals(o) {
  const down = rate("overview", (x) => x.bytes.in + x.bytes.udp_in), up = rate("overview", (x) => x.bytes.out + x.bytes.udp_out);
  const cells = [["Head slot", `${o.chain.head_slot}`], ["Slot", `${o.chain.slot}`], ["Peers", `${o.peers.connected}`],
    ["In", `${bytes(down)}/s`], ["Out", `${bytes(up)}/s`], ["Uptime", span(o.uptime_s)]];
  $("vitals").replaceChildren(...cells.map(([k, v]) => h("div", {}, h("dt", {}, k), h("dd", { id: "vital-" + k.toLowerCase().replace(" ", "-") }, v))));
  $("network").textContent = told(o.network, 40);
  $("about").textContent = `${o.version} · ${o.peer_id}`;
  document.title = `${o.peers.connected} peers · slot ${o.chain.head_slot} · beacon-p2pd`;
  state.history.push([down, up]);
  state.history.splice(0, state.history.length - HISTORY);
}

function drawSpark() {
  const w = 600, height = 110, top = Math.max(1000, ...state.history.flat()) * 1.1;
  const line = (i) => state.history.map((p, k) => `${k ? "L" : "M"}${(w - (state.history.length - 1 - k) * (w / (HISTORY - 1))).toFixed(1)} ${(height - 4 - (p[i] / top) * (height - 16)).toFixed(1)}`).join("");
  $("spark").replaceChildren(s("svg", { viewBox: `0 0 ${w} ${height}`, preserveAspectRatio: "none", role: "img", "aria-labelledby": "spark-text" },
    s("path", { class: "axis", d: `M0 ${height - 4}H${w}` }), s("path", { class: "in", d: line(0), "vector-effect": "non-scaling-stroke" }),
    s("path", { class: "out", d: line(1), "vector-effect": "non-scaling-stroke" })));
  const [down, up] = state.history[state.history.length - 1] || [0, 0];
  $("spark-text").textContent = `In ${bytes(down)}/s (green line), out ${bytes(up)}/s (ochre line); the last ${state.history.length} s, the scale ends at ${bytes(top)}/s.`;
}

function drawOverview() {
  const o = state.data.overview, peers = state.data.peers;
  if (!o || !peers) return;
  drawSpark();
  const count = new Map();
  for (const p of peers.peers) count.set(p.client, (count.get(p.client) || 0) + 1);
  const most = Math.max(1, ...count.values());
  $("clients").replaceChildren(count.size === 0 ? h("p", { class: "quiet" }, "no peers yet") : h("div", { class: "bars" },
    [...count].sort((a, b) => b[1] - a[1]).map(([name, n]) => [h("span", {}, name), h("i", { style: { width: `${(100 * n) / most}%` } }), h("span", { class: "num" }, n)])));
  const c = o.chain, d = o.discovery, l = o.load, loop = o.loop;
  facts($("chain"), [["Head", c.head_slot], ["Current slot", c.slot], ["State", c.syncing ? `syncing, ${c.sync_distance} behind` : o.peers.connected === 0 ? "no peer to compare with" : "in sync"],
    ["Head root", h("code", { title: c.head_root }, short(c.head_root))], ["Serves from slot", c.earliest_slot],
    ...(c.slots_left ? [["Slots to fetch", `${c.slots_left}, ${c.seconds_left ? span(c.seconds_left) : "time unknown"}`]] : [])]);
  facts($("discovery"), d.enabled ? [["Nodes in the table", d.table], ["Live", d.live], ["Sessions", d.sessions], ["Kept on disk", d.kept],
    ["Peers inbound", o.peers.inbound], ["Peers outbound", o.peers.outbound]] : [["discv5", "off"]]);
  const busy = rate("overview", (x) => x.loop.busy_ms) / 10;
  facts($("load"), [["Loop busy", `${busy.toFixed(1)} %`], ["Longest turn", ms(loop.longest_ms)], ["Connections' memory", bytes(l.network)],
    ["Messages kept", bytes(l.messages)], ["Unsent", bytes(l.unsent)], ["Undecided messages", l.undecided], ["Requests out / in", `${l.asks} / ${l.servings}`]]);
  const list = [...o.protocols].sort((a, b) => b.in + b.out - a.in - a.out);
  $("protocols").replaceChildren(h("table", {}, h("caption", { class: "sr" }, "Bytes by protocol"), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Protocol"), h("th", { scope: "col", class: "num" }, "In"), h("th", { scope: "col", class: "num" }, "Out"))),
    h("tbody", {}, list.map((p) => h("tr", {}, h("th", { scope: "row", class: "mono" }, p.protocol), h("td", { class: "num" }, bytes(p.in)), h("td", { class: "num" }, bytes(p.out)))))));
}

// ---- mesh ----
function drawMesh() {
  const t = state.data.topics, peers = state.data.peers;
  if (!t || !peers) return;
  const joined = t.topics.filter((x) => x.joined), key = (x) => `${x.fork_digest}/${x.name}`;
  if (!joined.some((x) => key(x) === state.topic)) state.topic = joined.length ? key(joined[0]) : null;
  const table = $("topics");
  if (!table.tHead.children.length) head(table, ["Topic", { text: "Mesh", num: true }, { text: "Peers", num: true }, { text: "New", num: true }, { text: "Copies", num: true }]);
  const digests = new Set(joined.map((x) => x.fork_digest));
  rows(table.tBodies[0], joined, key, (x) => h("tr", { "aria-current": key(x) === state.topic ? "true" : null },
    h("th", { scope: "row" }, h("button", { type: "button", class: "row", "data-topic": key(x), on: { click: () => { state.topic = key(x); drawMesh(); } } }, digests.size > 1 ? `${x.name} (${x.fork})` : x.name)),
    h("td", { class: "num" }, x.mesh.length), h("td", { class: "num" }, x.subscribers), h("td", { class: "num" }, x.messages), h("td", { class: "num" }, x.duplicates)));
  const topic = joined.find((x) => key(x) === state.topic);
  if (topic) drawGraph(topic, t.peers, new Map(peers.peers.map((p) => [p.peer_id, p])));
}

function ring(list, radius, from) {
  return list.map((x, i) => {
    const a = from + (2 * Math.PI * i) / Math.max(1, list.length);
    return [x, 320 + radius * 1.25 * Math.cos(a), 220 + radius * Math.sin(a)];
  });
}

function drawGraph(topic, ids, known) {
  const nodes = [...ring(topic.mesh.map((i) => [ids[i], "mesh"]), 105, -Math.PI / 2), ...ring(places(topic.subscribed).map((i) => [ids[i], "subscribed"]), 185, -Math.PI / 2 + 0.2)];
  const label = (id) => { const p = known.get(id); return p ? p.client : ""; };
  const many = nodes.length > 36;
  $("graph").replaceChildren(s("svg", { viewBox: "0 0 640 440", role: "img", "aria-labelledby": "graph-text", "data-topic": topic.name },
    s("ellipse", { class: "ring", cx: 320, cy: 220, rx: 131, ry: 105 }), s("ellipse", { class: "ring", cx: 320, cy: 220, rx: 231, ry: 185 }),
    nodes.map(([[, bond], x, y]) => s("line", { class: bond === "mesh" ? "mesh" : "sub", x1: 320, y1: 220, x2: x, y2: y })),
    nodes.map(([[id, bond], x, y]) => s("g", { "data-peer": id, "data-bond": bond }, s("title", {}, `${label(id)} ${id}, ${bond}`), s("circle", { class: bond === "mesh" ? "node" : "node out", cx: x, cy: y, r: many ? 5 : 8 }),
      many ? null : s("text", { x, y: y + (y < 220 ? -13 : 21), "text-anchor": "middle" }, label(id)),
      many ? null : s("text", { class: "faint", x, y: y + (y < 220 ? -26 : 34), "text-anchor": "middle" }, id.slice(-6)))),
    s("circle", { class: "self", cx: 320, cy: 220, r: 11 }), s("text", { x: 320, y: 246, "text-anchor": "middle" }, "this node")));
  $("graph-text").textContent = `${topic.name}: ${topic.mesh.length} peers in the mesh, ${topic.subscribers - topic.mesh.length} more subscribed; ${topic.messages} messages, ${topic.duplicates} copies.`;
  const table = $("graph-table");
  if (!table.tHead.children.length) head(table, ["Peer", "Client", "Bond", { text: "Rating", num: true }, { text: "Round trip", num: true }]);
  rows(table.tBodies[0], nodes.map(([n]) => n), (n) => n[0], ([id, bond]) => {
    const p = known.get(id);
    return h("tr", {}, h("th", { scope: "row", class: "mono", title: id }, short(id)), h("td", {}, p ? p.client : "–"), h("td", {}, bond),
      h("td", { class: "num" }, p ? p.rating.total.toFixed(1) : "–"), h("td", { class: "num" }, p ? ms(p.rtt_ms) : "–"));
  });
}

// ---- coverage ----
function heatMap(id, title, cells, noun) {
  const across = 16, most = Math.max(1, ...cells.map((c) => c.peers)), lines = [];
  for (let at = 0; at < cells.length; at += across) {
    const part = cells.slice(at, at + across);
    lines.push(h("tr", {}, h("th", { scope: "row" }, at), part.map((c, i) => {
      const says = `${noun} ${at + i}: ${c.peers} peer${c.peers === 1 ? "" : "s"}${c.own === "custody" ? ", ours" : c.own === "sampled" ? ", sampled by us" : ""}${c.lacking ? ", too few" : ""}`;
      return h("td", { "data-own": c.own, "data-lacking": String(c.lacking), "data-n": at + i, "data-peers": c.peers, title: says, style: { "background-color": `rgba(var(--heat), ${(0.08 + 0.42 * (c.peers / most)).toFixed(3)})` } },
        h("span", { "aria-hidden": "true" }, c.peers), h("span", { class: "sr" }, says));
    })));
  }
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, h("p", { class: "caption", "aria-hidden": "true" }, title), h("table", { class: "heat", id }, h("caption", { class: "sr" }, title), h("tbody", {}, lines)));
}

function drawCoverage() {
  const c = state.data.coverage;
  if (!c) return;
  const text = JSON.stringify(c);
  if (state.coverage === text) return; // a table under the reader's cursor is not replaced without need
  state.coverage = text;
  const count = (list) => `${list.filter((x) => x.own === "custody").length} ours, ${list.filter((x) => x.peers === 0).length} without any peer`;
  $("coverage-legend").replaceChildren(h("li", {}, h("i", { class: "custody" }), "ours: served or kept by this node"), h("li", {}, h("i", { class: "sampled" }), "sampled: subscribed to"), h("li", {}, h("i", { class: "lacking" }), "too few peers: being searched for"));
  const top = document.activeElement?.closest?.("#maps [role=region]")?.getAttribute("aria-label");
  $("maps").replaceChildren(heatMap("map-columns", `Data columns: ${count(c.columns)}`, c.columns, "column"),
    heatMap("map-attestation", `Attestation subnets: ${count(c.attestation)}`, c.attestation, "attestation subnet"), heatMap("map-sync", `Sync committee subnets: ${count(c.sync)}`, c.sync, "sync subnet"));
  if (top) [...document.querySelectorAll("#maps [role=region]")].find((r) => r.getAttribute("aria-label").split(":")[0] === top.split(":")[0])?.focus();
}

// ---- peers ----
const COLUMNS = [
  ["client", "Client", (p) => p.client], ["agent", "Agent", (p) => p.agent], ["peer_id", "Peer", (p) => p.peer_id], ["direction", "Direction", (p) => p.direction],
  ["transport", "Transport", (p) => p.transport], ["rtt", "Round trip", (p) => p.rtt_ms ?? 1e9, true], ["rating", "Rating", (p) => p.rating.total, true],
  ["in", "In", (p) => p.bytes_in, true], ["out", "Out", (p) => p.bytes_out, true], ["since", "Connected", (p) => p.since_s, true], ["columns", "Columns", (p) => p.columns, true],
];

function meter(value) {
  const part = Math.min(1, Math.abs(value) / 50) * 50;
  return h("span", { class: "meter", "aria-hidden": "true" }, h("i", { class: value < 0 ? "low" : null, style: { width: `${part}%`, left: value < 0 ? `${50 - part}%` : "50%" } }));
}

// What happened to a peer and why; asked for while its row is open, and anew now and then.
async function fetchStory(id) {
  const had = state.stories.get(id);
  if (had && performance.now() - had.at < STORY_MS) return;
  state.stories.set(id, { at: performance.now(), events: had?.events ?? [] });
  try {
    const answer = await fetch(`/p2pd/v1/peers/why?peer=${id}`);
    if (answer.ok) state.stories.get(id).events = (await answer.json()).data.events;
  } catch { /* the next look may be answered */ }
}

function storyList(id) {
  const events = (state.stories.get(id)?.events ?? []).slice(-STORY_MAX);
  return h("ol", { class: "story", "aria-label": "What happened to it" }, events.map((e) => {
    const change = e.change === undefined ? "" : ` ${e.part} ${e.change > 0 ? "+" : ""}${e.change.toFixed(1)}`;
    return h("li", { "data-reason": e.reason }, h("time", { datetime: new Date(Number(e.time_ms)).toISOString() }, new Date(Number(e.time_ms)).toISOString().slice(11, 19)),
      ` ${e.reason_text}${change}${e.text ? `: ${told(e.text)}` : ""}${e.times > 1 ? `, ${e.times} times` : ""}`);
  }));
}

function peerRows(p) {
  const open = state.open.has(p.peer_id), id = "parts-" + p.peer_id;
  const row = h("tr", { "data-key": p.peer_id }, h("td", {}, p.client), h("td", { class: "agent", title: told(p.agent, 256) }, told(p.agent)),
    h("th", { scope: "row", class: "mono" }, h("button", { type: "button", class: "row", "aria-expanded": String(open), "aria-controls": open ? id : null, title: p.peer_id,
      on: { click: () => { state.open.has(p.peer_id) ? state.open.delete(p.peer_id) : state.open.add(p.peer_id); drawPeers(); } } }, short(p.peer_id))),
    h("td", {}, p.direction), h("td", {}, p.transport), h("td", { class: "num" }, ms(p.rtt_ms)), h("td", { class: "num" }, p.rating.total.toFixed(1), meter(p.rating.total)),
    h("td", { class: "num" }, bytes(p.bytes_in)), h("td", { class: "num" }, bytes(p.bytes_out)), h("td", { class: "num" }, span(p.since_s)), h("td", { class: "num" }, p.columns));
  if (!open) {
    state.stories.delete(p.peer_id);
    return [row];
  }
  fetchStory(p.peer_id);
  const list = (rowsOf) => h("dl", { class: "facts" }, rowsOf.flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)]));
  return [row, h("tr", { class: "parts", id, "data-key": id }, h("td", { colspan: COLUMNS.length },
    list([...p.rating.parts.map((x) => [`rating: ${x.name}`, x.value.toFixed(2)]), ["rating: sum", p.rating.total.toFixed(2)]]),
    list([["Address", told(p.address, 120)], ["Known by", p.source], ["Muxer", p.muxer], ["Streams", p.streams], ["Head slot", p.head_slot]]),
    list([["Attestation subnets", p.attestation_subnets], ["Sync subnets", p.sync_subnets], ["Gossip in", bytes(sum(p.gossip_in))], ["of it duplicates", bytes(p.gossip_in.duplicate || 0)], ["Gossip out", bytes(sum(p.gossip_out))]]), storyList(p.peer_id)))];
}

function drawPeers() {
  const d = state.data.peers;
  if (!d) return;
  const table = $("peers"), [by, way] = state.sort;
  if (!table.tHead.children.length) {
    table.tHead.replaceChildren(h("tr", {}, COLUMNS.map(([key, text, , num]) => h("th", { scope: "col", "data-column": key, class: num ? "num" : null },
      h("button", { type: "button", on: { click: () => { state.sort = [key, state.sort[0] === key ? -state.sort[1] : num ? -1 : 1]; drawPeers(); } } }, text)))));
  }
  for (const th of table.tHead.rows[0].cells) {
    if (th.dataset.column === by) th.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
    else th.removeAttribute("aria-sort");
  }
  const get = COLUMNS.find((c) => c[0] === by)[2], wanted = $("peer-filter").value.toLowerCase();
  const list = d.peers.filter((p) => !wanted || [p.client, p.agent, p.address, p.peer_id].some((x) => x.toLowerCase().includes(wanted)))
    .sort((a, b) => way * (get(a) < get(b) ? -1 : get(a) > get(b) ? 1 : 0) || (a.peer_id < b.peer_id ? -1 : 1));
  $("peer-count").textContent = wanted ? `${list.length} of ${d.peers.length}` : `${d.peers.length} connected`;
  rows(table.tBodies[0], list.flatMap(peerRows), (r) => r.dataset.key, (r) => r);
}

// ---- bandwidth ----
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;

function perTopic(t, direction, group) {
  const found = new Map();
  for (const x of t.topics) {
    const key = x[group], had = found.get(key) || {};
    for (const [cause, n] of Object.entries(x[direction])) had[cause] = (had[cause] || 0) + n;
    found.set(key, had);
  }
  const of = t.total[direction], named = {};
  for (const had of found.values()) for (const [c, n] of Object.entries(had)) named[c] = (named[c] || 0) + n;
  const rest = Object.fromEntries(Object.entries(of).map(([c, n]) => [c, n - (named[c] || 0)]).filter(([, n]) => n > 0));
  if (sum(rest) > 0) found.set("(no topic: IWANT, IDONTWANT, frames)", rest);
  return found;
}

function drawBandwidth() {
  const t = state.data.topics, old = state.before.topics;
  if (!t) return;
  const direction = chosen("direction"), group = chosen("rows"), live = chosen("span") === "rate";
  let found = perTopic(t, direction, group);
  if (live) {
    const before = old ? perTopic(old, direction, group) : new Map(), seconds = Math.max(0.2, (state.at.topics - (state.at["before topics"] ?? 0)) / 1000);
    found = new Map([...found].map(([k, had]) => [k, Object.fromEntries(Object.entries(had).map(([c, n]) => [c, Math.max(0, (n - (before.get(k)?.[c] ?? n)) / seconds)]))]));
  }
  const list = [...found].map(([name, had]) => [name, had, sum(had)]).filter(([, , n]) => live || n > 0).sort((a, b) => b[2] - a[2] || (a[0] < b[0] ? -1 : 1));
  const most = Math.max(1, ...list.map((x) => x[2])), table = $("bandwidth");
  const used = CAUSES.filter((c) => list.some(([, had]) => had[c]));
  head(table, ["Topic", { text: live ? "Per second" : "Bytes", num: true }, "By cause", ...used.map((c) => ({ text: c, num: true }))]);
  $("cause-legend").replaceChildren(...used.map((c) => h("li", {}, h("i", { style: { background: `var(--c-${c})` } }), `${c}: ${CAUSE_TEXT[c]}`)));
  rows(table.tBodies[0], list, (x) => x[0], ([name, had, n]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "num" }, bytes(n)),
    h("td", { class: "bar", "aria-hidden": "true" }, h("span", { class: "stack", style: { width: `${Math.max(1, (100 * n) / most)}%` } }, used.filter((c) => had[c]).map((c) => h("i", { style: { width: `${(100 * had[c]) / n}%`, background: `var(--c-${c})` } })))),
    used.map((c) => h("td", { class: "num", "data-cause": c }, had[c] ? bytes(had[c]) : "–"))));
}

// ---- blocks ----
function drawBlocks() {
  const b = state.data.blocks;
  if (!b) return;
  const table = $("blocks");
  $("blocks-none").hidden = b.blocks.length > 0;
  const last = Math.max(50, ...b.blocks.flatMap((x) => x.carriers.map((c) => c.delay_ms)));
  const scale = [50, 100, 250, 500, 1000, 2000, 4000, 8000, 12000].find((x) => x >= last) ?? last;
  head(table, [{ text: "Slot", num: true }, "Root", { text: "Size", num: true }, { text: "First", num: true }, `Deliveries, 0 to ${scale} ms`, { text: "Copies", num: true }, "First from"]);
  const place = (delay) => 4 + (342 * Math.min(Math.max(delay, 0), scale)) / scale;
  rows(table.tBodies[0], b.blocks, (x) => `${x.slot}-${x.root}`, (x) => {
    const first = x.carriers[0];
    return h("tr", {}, h("th", { scope: "row", class: "num" }, x.slot), h("td", { class: "mono", title: x.root }, short(x.root)), h("td", { class: "num" }, bytes(x.bytes)),
      h("td", { class: "num" }, first ? ms(first.delay_ms) : "–"),
      h("td", {}, s("svg", { class: "strip", viewBox: "0 0 350 24", role: "img", "aria-label": x.carriers.map((c) => `${short(c.peer_id)} after ${ms(c.delay_ms)}`).join(", ") },
        s("path", { class: "axis", d: "M4 20H346" }), x.carriers.map((c, i) => s("path", { class: i ? "tick" : "tick first", d: `M${place(c.delay_ms).toFixed(1)} ${i ? 8 : 2}V20` })).reverse())),
      h("td", { class: "num" }, x.copies), h("td", { class: "mono", title: first ? first.peer_id : null }, first ? short(first.peer_id) : "own"));
  });
}

// ---- log ----
function lineText(text) {
  if (!text.startsWith("{")) return text;
  try {
    const { time, level, module, msg, ...rest } = JSON.parse(text);
    return `${time} ${module}: ${msg} ${Object.entries(rest).map(([k, v]) => `${k}=${v}`).join(" ")}`;
  } catch {
    return text;
  }
}

function takeLog(d) {
  state.line = d.lines.length ? d.lines[d.lines.length - 1].number : state.line > d.last ? 0 : state.line;
  if (state.levels !== d.levels && document.activeElement !== $("levels")) {
    state.levels = d.levels;
    $("levels").value = d.levels;
  }
  const list = $("lines"), wanted = $("log-filter").value.toLowerCase();
  list.append(...d.lines.map((l) => {
    const text = lineText(l.text).replace(/^\S+ (error|warn|info|debug|trace) +/, (m) => m.split(" ")[0] + " ");
    return h("div", { "data-level": l.level, "data-number": l.number, hidden: wanted && !text.toLowerCase().includes(wanted) ? true : null }, h("b", {}, l.level), told(text, 2000));
  }));
  while (list.children.length > LINES_MAX) list.firstChild.remove();
  if (d.lines.length && $("log-follow").checked) list.scrollTop = list.scrollHeight;
}

async function setLevels(event) {
  event.preventDefault();
  const answer = $("levels-answer");
  try {
    const got = await fetch(`/p2pd/v1/log?levels=${encodeURIComponent($("levels").value)}`, { method: "PUT" });
    const body = await got.json();
    answer.textContent = got.ok ? `set: ${body.data.levels}` : body.message;
    if (got.ok) state.levels = $("levels").value = body.data.levels;
  } catch (e) {
    answer.textContent = `not set: ${e.message}`;
  }
}

// ---- the loop ----
const VIEWS = { overview: drawOverview, mesh: drawMesh, coverage: drawCoverage, peers: drawPeers, bandwidth: drawBandwidth, blocks: drawBlocks, log: () => {} };
const current = () => (location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "overview");

function show(focus) {
  const name = current();
  for (const view of Object.keys(VIEWS)) $("view-" + view).hidden = view !== name;
  for (const a of document.querySelectorAll("nav a")) {
    if (a.hash.slice(1) === name) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  VIEWS[name]();
  listen();
  if (focus) $("main").focus({ preventScroll: true });
}

function take(name, data) {
  if (name === "log") {
    takeLog(data);
    return;
  }
  const now = performance.now(), fresh = !(now - state.at[name] < RATE_MS); // a view just opened is sent at once: too soon for a rate
  if (fresh) {
    state.before[name] = state.data[name];
    state.at["before " + name] = state.at[name];
    state.at[name] = now;
    state.data[name] = data;
  } else if (name !== "overview") {
    state.data[name] = data;
  }
  if (name === "overview" && fresh) drawVitals(data);
}

function setState(is, text) {
  $("state").dataset.is = is;
  if ($("state").textContent !== text) $("state").textContent = text;
}

// What a view is drawn from is sent once a second, in this order; the last name draws it.
const NEEDS = { overview: ["peers"], mesh: ["topics", "peers"], coverage: ["coverage"], peers: ["peers"], bandwidth: ["topics"], blocks: ["blocks"], log: ["log"] };
let source = null;

function listen() {
  source?.close();
  source = null;
  if (state.paused || document.hidden) return;
  const names = ["overview", ...NEEDS[current()]];
  source = new EventSource(`/p2pd/v1/live?views=${names}&after=${state.line}`);
  for (const name of names) {
    source.addEventListener(name, (event) => {
      take(name, JSON.parse(event.data));
      setState("live", "live");
      VIEWS[current()]();
    });
  }
  source.onerror = () => {
    setState("lost", "no answer");
    if (source?.readyState === EventSource.CLOSED) setTimeout(listen, 2000); // refused: it does not try again by itself
  };
}

// ---- theme: the system's, or the one chosen ----
const THEMES = ["system", "light", "dark"];
function setTheme(choice) {
  const dark = choice === "dark" || (choice === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").textContent = `Theme: ${choice}`;
  state.theme = choice;
  try { localStorage.setItem("theme", choice); } catch { /* private windows have no storage */ }
}

let stored = "system";
try { stored = localStorage.getItem("theme") ?? "system"; } catch { /* as above */ }
setTheme(THEMES.includes(stored) ? stored : "system");
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(state.theme));
$("theme").addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(state.theme) + 1) % 3]));
$("pause").addEventListener("click", () => {
  state.paused = !state.paused;
  $("pause").setAttribute("aria-pressed", String(state.paused));
  if (state.paused) setState("paused", "paused");
  listen();
});
document.addEventListener("visibilitychange", listen);
$("peer-filter").addEventListener("input", drawPeers);
$("log-filter").addEventListener("input", () => {
  const wanted = $("log-filter").value.toLowerCase();
  for (const line of $("lines").children) line.hidden = wanted !== "" && !line.textContent.toLowerCase().includes(wanted);
});
$("levels-form").addEventListener("submit", setLevels);
for (const input of document.querySelectorAll("#view-bandwidth input")) input.addEventListener("change", drawBandwidth);
addEventListener("hashchange", () => show(true));
show(false);
