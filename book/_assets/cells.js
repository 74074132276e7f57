// One button for all the code of a page. What was chosen holds for the pages that follow, until the tab is closed.
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
    const store = (choice) => {
      try { sessionStorage.setItem("code", choice) } catch { /* a reader who forbids it chooses on each page */ }
    };
    // what it says is what it does next, so that it is no button that stays pressed
    const name = () => (button.textContent = folds.every((fold) => fold.open) ? "Hide all code" : "Show all code");
    const set = (choice) => {
      for (const fold of folds) fold.open = choice === "shown";
    };
    button.addEventListener("click", () => {
      const choice = folds.every((fold) => fold.open) ? "hidden" : "shown";
      set(choice);
      store(choice);
      name();
    });
    for (const fold of folds) fold.addEventListener("toggle", name);
    if (stored()) set(stored());
    name();
    header.prepend(button);
  }
}
