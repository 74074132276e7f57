// Starts the explorables of a page that has no kernel: gives each its module, and what that uses of a widget's model.
// A classic script, as are those that keep the modules' texts in `explorables`: a page that is opened as a file may load
// them, but may import a module only from a blob.
{
  const mount = async (root) => {
    root.dataset.mounted = "";
    root.querySelector(".how-to-move-it")?.remove();
    const state = JSON.parse(root.querySelector("script").textContent);
    state._esm = explorables[root.dataset.explorable];
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
  };
  for (const root of document.querySelectorAll("[data-explorable]:not([data-mounted])")) mount(root);
}
