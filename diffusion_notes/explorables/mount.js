// Gives the next explorable of a static page what it uses of a widget's model, and no kernel.
const root = document.querySelector("[data-explorable]:not([data-mounted])");
root.dataset.mounted = "";
const state = JSON.parse(root.querySelector("script").textContent);
const url = URL.createObjectURL(new Blob([state._esm], { type: "text/javascript" }));
const { default: explorable } = await import(url);
URL.revokeObjectURL(url);
const model = {
  get: (name) => state[name],
  set: (name, value) => void (state[name] = value),
  on() {},
  off() {},
  save_changes() {},
};
explorable.render({ model, el: root });
