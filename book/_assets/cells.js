// One button for all the code of a page. Once it is shown, it is on the pages that follow, until it is hidden or the tab is
// closed; hidden, it is hidden on this page, and others come as they are, with the lines open that their text talks about.
{
  const folds = [...document.querySelectorAll("details.code")];
  const header = document.querySelector(".article-header-buttons");
  if (folds.length && header) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-sm all-code";
    const stored = () => {
      try { return sessionStorage.getItem("code") } catch { return null }
    };
    const store = (shown) => {
      try {
        if (shown) sessionStorage.setItem("code", "shown");
        else sessionStorage.removeItem("code");
      } catch { /* a reader who forbids it chooses on each page */ }
    };
    // what it says is what it does next, so that it is no button that stays pressed
    const name = () => (button.textContent = folds.every((fold) => fold.open) ? "Hide all code" : "Show all code");
    const set = (shown) => {
      for (const fold of folds) fold.open = shown;
    };
    button.addEventListener("click", () => {
      const shown = !folds.every((fold) => fold.open);
      set(shown);
      store(shown);
      name();
    });
    for (const fold of folds) fold.addEventListener("toggle", name);
    if (stored() === "shown") set(true);
    name();
    header.prepend(button);
  }
}
