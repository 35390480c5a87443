// The page of `warpkit play`. The server computes everything that is shown; here it is asked for, and drawn.

import { Sliders, choices, optionTexts, options } from "./controls.js";
import { Stage } from "./stage.js";

const at = (id) => document.getElementById(id);
const state = { transform: "", options: {}, theta: [], kernel: "bilinear", padding: "zeros", size: null };
let picture = null;
let begun = []; // θ that the transform begins with
let choice = 0; // counts the transforms and options that are chosen: only the last one's reply is taken
let edit = 0; // counts what the user changes: an answer to an older question does not overwrite θ
let wanted = null; // the newest question
let asking = null; // a promise while there is one

const stage = new Stage(
  (handles, moved, hold) => {
    hold.base ??= state.theta;
    ask({ theta: hold.base, handles, moved });
  },
  async () => asking,
);
const sliders = new Sliders((theta) => {
  state.theta = theta;
  ask();
});

// One question at a time, and after it the newest one: what lies between would be drawn too late anyway.
function ask(more = {}) {
  wanted = { body: { picture: picture.key, ...state, ...more }, edit: ++edit };
  asking ??= askAll().finally(() => (asking = null));
  return asking;
}

async function askAll() {
  waits(1);
  while (wanted) {
    const question = wanted;
    wanted = null;
    await answered(question);
  }
  waits(-1);
}

// The page says how many answers it waits for.
function waits(more) {
  document.body.dataset.waits = Number(document.body.dataset.waits || 0) + more;
}

async function answered(question) {
  const sent = performance.now();
  const reply = await posted("warp", JSON.stringify(question.body));
  if (!reply) return;
  const data = await reply.arrayBuffer();
  const length = new DataView(data).getUint32(0, true);
  const told = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
  const count = told.grid.reduce((a, b) => a * b, 1);
  const grid = new Float32Array(data, 4 + length, count);
  const pixels = new Uint8ClampedArray(data, 4 + length + 4 * count);
  const [height, width] = told.size;
  const canvas = at("warped");
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  stage.show(told.handles, grid, told.grid);
  at("python").textContent = told.python;
  at("command").replaceChildren(...told.command.split(" ").flatMap((word) => [unbroken(word), " "]).slice(0, -1));
  at("result").textContent = `${width} × ${height}, ${Math.round(performance.now() - sent)} ms`;
  const follows = question.body.handles && wanted?.body.handles && wanted.body.transform === question.body.transform;
  if (question.edit === edit || follows) {
    state.theta = told.theta;
    sliders.show(told.theta);
  }
  document.body.dataset.shown = question.edit;
}

// A word that is not broken at its hyphens.
function unbroken(word) {
  const span = document.createElement("span");
  span.textContent = word;
  return span;
}

// The reply, or null where there is none: then the page says why, and keeps what it shows.
async function posted(where, body) {
  let complaint = "";
  waits(1);
  try {
    const reply = await fetch(where, { method: "POST", body });
    if (reply.ok) {
      complain("");
      return reply;
    }
    complaint = (await reply.json()).error;
  } catch {
    complaint = "warpkit play does not answer: is it still running?";
  } finally {
    waits(-1);
  }
  complain(complaint);
  return null;
}

function complain(text) {
  at("complaint").textContent = text;
  at("complaint").hidden = !text;
}

// A transform is chosen: its options are shown, and `texts` are those that are not to be its defaults.
async function choose(transform, texts = {}) {
  const mine = ++choice;
  const reply = await posted("options", JSON.stringify({ picture: picture.key, transform }));
  if (!reply || mine !== choice) return;
  const held = (await reply.json()).map(({ name, value }) => ({ name, value: texts[name] ?? value }));
  options(held, () => restart(transform));
  await restart(transform);
}

// Its options are given: its sliders are made anew, and θ begins again.
async function restart(transform) {
  const mine = ++choice;
  const chosen = { transform, options: optionTexts() };
  const reply = await posted("parameters", JSON.stringify({ picture: picture.key, ...chosen }));
  const told = reply && (await reply.json());
  if (!told || mine !== choice) return;
  at("what").textContent = told.what;
  sliders.make(told.params);
  begun = told.params.map((param) => param.start);
  Object.assign(state, chosen, { theta: begun });
  sliders.show(begun);
  await ask();
}

function place(opened) {
  picture = opened;
  at("picture").src = `pictures/${opened.key}`;
  at("picture").alt = opened.name;
  for (const box of document.querySelectorAll(".stage")) box.style.setProperty("--aspect", opened.width / opened.height);
  at("source").textContent = opened.note || `${opened.width} × ${opened.height}`;
  Object.assign(at("height"), { value: opened.height });
  Object.assign(at("width"), { value: opened.width });
  state.size = null;
}

async function open(file) {
  if (!file) return;
  const reply = await posted(`pictures?name=${encodeURIComponent(file.name)}`, file);
  if (!reply) return;
  place(await reply.json());
  // θ goes on with the other picture, unless it depends on its shape.
  if (!state.transform || "aspect" in state.options) await choose(at("transform").value);
  else await ask();
}

async function save() {
  const reply = await posted("png", JSON.stringify({ picture: picture.key, ...state }));
  if (!reply) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await reply.blob());
  link.download = "warped.png";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function copy(button) {
  const text = at(button.dataset.copies);
  try {
    await navigator.clipboard.writeText(text.textContent);
  } catch {
    // Inside of a notebook the clipboard may be out of reach: the text is marked, to be copied by hand.
    getSelection().selectAllChildren(text);
    return;
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

function listen() {
  at("transform").addEventListener("change", (event) => choose(event.target.value));
  for (const id of ["kernel", "padding"]) {
    at(id).addEventListener("change", (event) => {
      state[id] = event.target.value;
      ask();
    });
  }
  for (const box of document.querySelectorAll("input[type=checkbox][name]")) {
    box.addEventListener("change", () => {
      state[box.name] = box.checked;
      ask();
    });
  }
  for (const id of ["height", "width"]) {
    at(id).addEventListener("change", () => {
      const size = [at("height").valueAsNumber, at("width").valueAsNumber];
      state.size = size[0] === picture.height && size[1] === picture.width ? null : size;
      ask();
    });
  }
  at("show-grid").addEventListener("change", (event) => {
    stage.hidden = !event.target.checked;
    stage.draw();
  });
  at("reset").addEventListener("click", () => {
    sliders.show(begun);
    state.theta = begun;
    ask();
  });
  at("save").addEventListener("click", save);
  at("open").addEventListener("change", (event) => {
    open(event.target.files[0]);
    event.target.value = "";
  });
  for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", () => copy(button));
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  for (const end of ["dragleave", "drop"]) addEventListener(end, () => document.body.classList.remove("dropping"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    open(event.dataTransfer.files[0]);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => stage.draw());
}

async function begin() {
  const reply = await posted("begin", "");
  if (!reply) return;
  const told = await reply.json();
  const names = told.transforms;
  choices("transform", names.includes(told.transform) ? names : [told.transform, ...names], told.transform);
  choices("kernel", told.kernels, state.kernel);
  choices("padding", told.paddings, state.padding);
  at("withheld").hidden = told.withheld.length === 0;
  at("withheld").querySelector("ul").replaceChildren(
    ...told.withheld.map(({ name, why }) => {
      const item = document.createElement("li");
      item.textContent = `${name}: ${why}`;
      return item;
    }),
  );
  place(told.picture);
  listen();
  await choose(told.transform, told.options);
}

begin();
