// Two rungs of the ladder side by side: their samples, what their bounds cost, and what the difference between them buys.

const SWITCHES = {
  layers: "Layers",
  inference: "Inference",
  last: "Last latent",
  networks: "Networks",
  latent: "Latent size",
  objective: "Trained on",
};
const OBJECTIVES = { bound: "bound", layer: "one layer", weighted: "by weight", simple: "simple loss" }; // in their order
const position = (value) => OBJECTIVES[value] ?? String(value);
const BUDGETS = { time: "work", steps: "steps" }; // what is equal
const EQUAL = { time: "multiplications", steps: "training steps" };

// Pairs that are chosen at once; those of them are offered of which both rungs are there.
const PAIRS = {
  "VAE and DDPM": ["VAE", "DDPM"],
  "q learned or fixed": ["last latent noise", "inference fixed"],
  "4 or 32 layers": ["one random layer", "32 layers"],
  "bound or simple loss": ["1000 layers", "DDPM"],
};

// The switches in which two rungs differ. Their positions come from a list in the page too, so that numbers may be texts.
function differing(one, other) {
  return Object.keys(SWITCHES).filter((name) => String(one[name]) !== String(other[name]));
}

// The rung that differs from what is wanted in the fewest switches, then least in its depth, then least in what it is
// trained on; the switch `fixed` must not differ.
function nearest(rungs, wanted, fixed) {
  const deeper = (rung) => Math.abs(Math.log(rung.switches.layers / wanted.layers)) / 100; // less than one switch
  const trained = ({ objective }) => Object.keys(OBJECTIVES).indexOf(objective);
  const other = (rung) => Math.abs(trained(rung.switches) - trained(wanted)) / 1e5; // less than one layer
  const distance = (rung) => differing(rung.switches, wanted).length + deeper(rung) + other(rung);
  const allowed = rungs.filter((rung) => !differing(rung.switches, wanted).includes(fixed));
  return allowed.reduce((best, rung) => (best && distance(best) <= distance(rung) ? best : rung), undefined);
}

// By how many nats the bound of `b` is nearer to the entropy than that of `a`, with its ±, and how many times that.
function bought(a, b) {
  const nats = a.gap[0] - b.gap[0];
  const error = a.gap[1] === null || b.gap[1] === null ? null : Math.hypot(a.gap[1], b.gap[1]);
  return { nats, error, times: error ? Math.abs(nats) / error : null };
}

// What one rung costs, and what it took.
function cost(side, rung) {
  return `${side}, ${rung.name}: gap ${given(rung.gap)} nats, KL ${given(rung.KL)}, ${rung.steps} steps.`;
}

// What differs between two rungs, what it buys, and whether that is more than its ±.
function comparison(a, b) {
  const names = differing(a.switches, b.switches);
  if (!names.length) return "A and B are the same: turn one switch of B.";
  const change = (name) => `${SWITCHES[name].toLowerCase()} ${position(a.switches[name])} → ${position(b.switches[name])}`;
  const { nats, error, times } = bought(a, b);
  const verdict =
    times === null
      ? "with one seed, its error is not known"
      : times < 1
        ? "less than its ±, so this may be chance"
        : `${nats < 0 ? "which is a loss, " : ""}${significant(times, 2)} times the ± beside it`;
  const one = names.length === 1;
  const differ = one ? "one switch" : `${names.length} switches`;
  const buy = one ? "What this one difference buys" : "What these differences buy together";
  return `They differ in ${differ}: ${names.map(change).join(", ")}. ${buy}: ${given([nats, error])} nats, ${verdict}.`;
}

// What ± means, with the seeds of A and B.
function errors(a, b) {
  if (a === 1 && b === 1) return "";
  return ` ± is two standard errors, over ${a === b ? `${a} seeds` : `the seeds: ${a} of A, ${b} of B`}.`;
}

// The switches of both sides, a row for each: selects[side][name], labels[name], and the node that holds them.
function switchboard(all, turn) {
  const [selects, labels] = [{ A: {}, B: {} }, {}];
  const node = element("div", { className: "switches" });
  for (const side of ["", "A", "B"]) node.append(element("span", { textContent: side, ariaHidden: "true" }));
  for (const [name, words] of Object.entries(SWITCHES)) {
    labels[name] = element("span", { textContent: words, ariaHidden: "true" });
    node.append(labels[name]);
    const values = [...new Set(all.map((rung) => rung.switches[name]))].sort((a, b) => a - b);
    for (const side of ["A", "B"]) {
      const input = element("select", { ariaLabel: `${words} of ${side}` });
      for (const value of values) input.append(new Option(position(value), value));
      input.addEventListener("change", () => turn(side, name, input.value));
      selects[side][name] = input;
      node.append(input);
    }
  }
  return { selects, labels, node };
}

// The names in a list, in two groups: those of the ladder, and the others.
function grouped(input, ladder) {
  if (!ladder.length) return;
  const { value } = input;
  const isOn = (option) => ladder.includes(option.value);
  for (const [label, belongs] of [["on the ladder", isOn], ["beside the ladder", (option) => !isOn(option)]]) {
    const of = [...input.querySelectorAll(":scope > option")].filter(belongs);
    if (of.length) input.append(element("optgroup", { label }, ...of));
  }
  input.value = value; // an option that is moved is no longer the one that is chosen
}

const GRID = `
[data-explorable] .pairs:not([hidden]) { display: flex; flex-wrap: wrap; gap: 0.4rem; margin-bottom: 0.3rem; }
[data-explorable] .pairs button { flex: 1 1 7rem; padding: 0 0.4rem; }
[data-explorable] .sides { display: flex; flex-wrap: wrap; gap: 0 1rem; }
@media (max-width: 37rem) { [data-explorable] .samples { position: sticky; top: var(--pst-header-height, 0); z-index: 1;
  border-radius: 0; background: var(--pst-color-background, Canvas); } }
[data-explorable] .switches { display: grid; grid-template-columns: 6.2rem 1fr 1fr; align-items: center; flex: 1 1 100%;
  gap: 0.2rem 0.4rem; min-width: 0; }
[data-explorable] .switches select { width: 100%; min-width: 0; }
[data-explorable] :is(.switches, .switches ~ label) select { padding: 0 0.2rem; }
[data-explorable] .switches span:is(:nth-child(-n + 3), .differs) { font-weight: 700; }
[data-explorable] .switches ~ label { flex-basis: 10rem; }
@media (max-width: 23rem) { [data-explorable] .switches { grid-template-columns: 1fr 1fr; }
  [data-explorable] .switches span:not(:nth-child(2), :nth-child(3)) { grid-column: 1 / -1; } }
[data-explorable] .controls { margin-block: 0.6rem; }
[data-explorable] .says { white-space: pre-line; }
[data-explorable] .verdict { min-height: 6em; }
`;

function render({ model, el }) {
  const all = model.get("rungs");
  const now = {};
  const here = () => all.filter((rung) => rung.data === data.value && rung.budgets.includes(budget.value));

  // A rung by its name; where it was not run on these data with this budget, the nearest that was.
  function named(name) {
    const { switches } = all.find((rung) => rung.name === name);
    return here().find((rung) => rung.name === name) ?? nearest(here(), switches);
  }

  const these = () => `these data and equal ${BUDGETS[budget.value]}`;

  // Not every combination was run: the nearest is taken that has the switch where the reader puts it.
  function turn(side, name, value) {
    const wanted = { ...now[side].switches, [name]: value };
    now[side] = nearest(here(), wanted, name);
    const others = differing(now[side].switches, wanted).map((other) => SWITCHES[other].toLowerCase());
    update(others.length ? `No run differs in this switch alone, so ${side} changed here too: ${others.join(", ")}.\n` : "");
  }

  // Takes two rungs by their names, or what is nearest to them.
  function take(names) {
    for (const side of ["A", "B"]) now[side] = named(names[side]);
    const moved = ["A", "B"].filter((side) => now[side].name !== names[side]);
    const note = (side) => `${names[side]} was not run with ${these()}: ${side} is the nearest that was.\n`;
    update(moved.map(note).join(""));
  }

  const move = () => take({ A: now.A.name, B: now.B.name });

  function showSwitches(side) {
    const { name, switches } = now[side];
    for (const option of rungs[side].input.options) option.disabled = !here().some((rung) => rung.name === option.value);
    rungs[side].value = name;
    for (const [of, input] of Object.entries(board.selects[side])) {
      for (const option of input.options) {
        const wanted = { ...switches, [of]: option.value };
        const found = nearest(here(), wanted, of);
        const others = found ? differing(found.switches, wanted).length : 0;
        option.disabled = !found;
        option.textContent = position(option.value) + (others ? ` (+${others})` : "");
      }
      input.value = switches[of];
    }
  }

  function update(note = "") {
    for (const side of ["A", "B"]) showSwitches(side);
    const changed = differing(now.A.switches, now.B.switches);
    for (const of in SWITCHES) board.labels[of].className = changed.includes(of) ? "differs" : "";
    verdict.textContent = note + comparison(now.A, now.B) + errors(now.A.seeds, now.B.seeds);
    const equal = `Equal ${BUDGETS[budget.value]}: each took as many ${EQUAL[budget.value]}.`;
    says.textContent = [cost("A", now.A), cost("B", now.B), equal].join("\n");
    for (const picture of pictures) picture.redraw();
  }

  const same = (values) => Object.fromEntries([...new Set(values)].map((value) => [value, value]));
  const spent = Object.keys(BUDGETS).filter((name) => all.some((rung) => rung.budgets.includes(name)));
  const data = choice("Data", same(all.map((rung) => rung.data)), model.get("data"), move);
  const budget = choice("Equal", Object.fromEntries(spent.map((name) => [name, BUDGETS[name]])), model.get("budget"), move);
  for (const { node, input } of [data, budget]) node.hidden = input.length === 1;
  const rungs = {};
  for (const side of ["A", "B"]) {
    const names = same(all.map((rung) => rung.name));
    rungs[side] = choice(side, names, model.get(side.toLowerCase()), (name) => ((now[side] = named(name)), update()));
    grouped(rungs[side].input, model.get("ladder"));
    now[side] = named(rungs[side].value);
  }
  const there = ([a, b]) => [a, b].every((name) => all.some((rung) => rung.name === name));
  const offered = Object.entries(PAIRS).filter(([, pair]) => there(pair));
  const pairs = element("div", { className: "pairs", hidden: offered.length < 2 });
  for (const [words, [A, B]] of offered) pairs.append(button(words, () => take({ A, B })));
  const board = switchboard(all, turn);
  const alike = button("Make B the same as A", () => ((now.B = now.A), update()));
  const samples = { aspect: 2, range: [-2.1, 2.1, -1, 1].map((x) => REACH * x), margin: [2, 2, 22, 2] };
  const costs = "Bars in nats: how far the negative bounds of A and B are above the entropy, and the KL of their samples.";
  const terms =
    "Bars in nats, left and right of zero: the three terms of the bounds of A and B, along the walk, and their sum, the bound.";
  const pictures = [
    new Picture(model.get("alt"), samples, (picture) => drawSamples(picture, now)),
    new Picture(costs, { height: 160, margin: [4, 112, 36, 22] }, (picture) => drawCosts(picture, now)),
    new Picture(terms, { height: 240, margin: [4, 58, 36, 116] }, (picture) => drawTerms(picture, now)),
  ];
  const [verdict, says] = [saying(), saying()];
  verdict.classList.add("verdict");
  const hint =
    "Choose a pair, or any two. Then make B the same as A, and turn one switch of B: what does this one difference buy? " +
    "Bold: what differs. (+2): two other switches have to change too. Grey: not run with these data or this budget.";
  const controls = [board, alike, data, budget];
  const stop = assemble(el, "rungs", { hint, pictures, controls, says });
  el.querySelector("style").append(GRID);
  const [drawn, nats, parts] = pictures.map((picture) => picture.canvas);
  drawn.classList.add("samples");
  const sides = element("div", { className: "sides" }, rungs.A.node, rungs.B.node);
  el.querySelector(".try").after(pairs, sides, drawn, nats, verdict); // what is chosen first, and what it does
  el.querySelector(".controls").after(parts);
  update();
  return stop;
}

export default { render };
