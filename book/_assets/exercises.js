// A question of an exercise, answered in the page: judged as `check` of diffusion_notes.notebook.exercises judges, by the
// same rules, in the same order and words.
{
  const FACTORS = [2, 4, Math.PI, 2 * Math.PI, Math.SQRT2, Math.sqrt(Math.PI), Math.sqrt(2 * Math.PI)];

  // The one mistake that turns the right numbers into those that are given, if it is one of the usual ones.
  const rule = (given, expected, allowed, fits) => {
    if (expected.some((right, i) => allowed[i] > 0.05 * Math.abs(right)) || given.includes(0)) return "";
    if (fits(given.map((x) => x * Math.LN2))) return "it is right in bits; the book counts in nats.";
    if (FACTORS.some((k) => fits(given.map((x) => x * k)) || fits(given.map((x) => x / k)))) {
      return "it is off by a simple factor, such as 2 or π.";
    }
    if (fits(given.map((x) => 1 / x))) return "it is upside down, one over the right answer.";
    if (fits(given.map((x) => Math.sqrt(Math.abs(x)))) || fits(given.map((x) => x * x))) {
      return "a square or a root is missing, or is one too many.";
    }
    const ratio = expected[0] / given[0];
    if (given.length > 1 && fits(given.map((x) => x * ratio))) return "all entries are off by the same factor.";
    return "";
  };

  // Which way to go, from the first entry that is not right.
  const direction = (given, expected, allowed) => {
    const right = given.map((x, i) => Math.abs(x - expected[i]) <= allowed[i]);
    const first = right.indexOf(false);
    const [number, truth] = [given[first], expected[first]];
    const many = right.filter(Boolean).length;
    const are = many === 1 ? "entries is" : "entries are";
    const it = given.length > 1 ? `${many} of ${given.length} ${are} right; the first of the others` : "it";
    if (number * truth < 0) return `${it} has the wrong sign.`;
    const size = `too ${Math.abs(number) > Math.abs(truth) ? "large" : "small"}`;
    const which = truth >= 0 && number >= 0 ? size : `${size} in size`;
    const orders = number && truth ? Math.floor(Math.abs(Math.log10(number / truth)) + 0.5) : 0;
    return orders
      ? `${it} is ${which}, by about ${orders} order${orders > 1 ? "s" : ""} of magnitude.`
      : `${it} is ${which}.`;
  };

  var judgeAnswer = (given, { expected, tolerance, relative }) => {
    const allowed = expected.map((right) => (relative ? tolerance * Math.abs(right) : tolerance));
    const fits = (numbers, times = 1) =>
      numbers.every((number, i) => Math.abs(number - expected[i]) <= times * allowed[i]);
    if (!given.every(Number.isFinite)) return "Not yet: it is not finite.";
    if (fits(given)) return "Right.";
    if (fits(given.map((x) => -x))) return "Not yet: the size is right, the sign is not.";
    const hint = rule(given, expected, allowed, fits);
    if (hint) return `Not yet: ${hint}`;
    if (fits(given, 10)) return "Not yet: it is close, but not close enough.";
    return `Not yet: ${direction(given, expected, allowed)}`;
  };

  const NAMES = {
    ln: Math.log, log: Math.log, log2: Math.log2, log10: Math.log10, sqrt: Math.sqrt, "√": Math.sqrt, exp: Math.exp,
    abs: Math.abs, pi: Math.PI, "π": Math.PI, e: Math.E,
  };
  const TOKEN = /\s*(?:(\d+\.?\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?)|(log10|log2|[a-z]+|[π√])|(\*\*|[-+*/^()]))/y;

  const tokens = (text) => {
    const found = [];
    TOKEN.lastIndex = 0;
    while (TOKEN.lastIndex < text.length) {
      const [, number, name, sign] = TOKEN.exec(text) ?? [];
      if (number !== undefined) found.push(Number(number));
      else if (name && Object.hasOwn(NAMES, name)) found.push({ is: NAMES[name] });
      else if (sign) found.push(sign === "**" ? "^" : sign);
      else return null;
    }
    return found;
  };

  // What is typed, as a number, or null: 0.25, 1e-3, 1/3, ln 2, sqrt(2)/2, 2π; log is the natural one, as in Python.
  var readNumber = (text) => {
    const plain = text.trim().toLowerCase().replace(/[−–]/g, "-").replace(/,/g, ".").replace(/[·×]/g, "*")
      .replace(/\b(?:math|np|numpy|torch)\./g, "");
    const rest = plain.length > 100 ? null : tokens(plain);
    if (!rest?.length) return null;
    const take = (...signs) => (signs.includes(rest[0]) ? rest.shift() : "");
    const sum = () => {
      let total = product();
      for (let sign; (sign = take("+", "-")); ) total += sign === "+" ? product() : -product();
      return total;
    };
    // 2π and 2 ln 2 are products too, but not 1/2π, which may mean either
    const product = () => {
      let [total, bare, divided] = [NaN, typeof rest[0] === "number", false];
      total = signed();
      for (;;) {
        const sign = take("*", "/");
        if (!sign && !(bare && !divided && (rest[0] === "(" || rest[0]?.is))) return total;
        bare = typeof rest[0] === "number";
        divided ||= sign === "/";
        total *= sign === "/" ? 1 / signed() : signed();
      }
    };
    const signed = () => {
      const sign = take("+", "-");
      return sign ? (sign === "-" ? -signed() : signed()) : power();
    };
    const power = () => {
      const base = atom();
      return take("^") ? base ** signed() : base;
    };
    const atom = () => {
      const first = rest.shift();
      if (typeof first === "number") return first;
      if (first === "(") {
        const inner = sum();
        return take(")") ? inner : NaN;
      }
      return typeof first?.is === "function" ? first.is(atom()) : (first?.is ?? NaN);
    };
    const number = sum();
    return rest.length || Number.isNaN(number) ? null : number;
  };

  const element = (name, properties = {}, ...inner) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...inner);
    return made;
  };

  const build = (form, place) => {
    const about = JSON.parse(atob(form.dataset.question));
    const question = form.querySelector("p");
    const names = [...form.querySelectorAll(":scope > span")];
    question.id = `question-${place}`;
    const inputs = about.expected.map(() =>
      element("input", { type: "text", autocomplete: "off", spellcheck: false, size: 12 }));
    const fields = inputs.map((input, i) => {
      if (!names.length) {
        input.setAttribute("aria-labelledby", question.id);
        return input;
      }
      return element("label", {}, names[i], input);
    });
    const within = about.relative ? `${+(100 * about.tolerance).toPrecision(3)}%` : `${about.tolerance}`;
    const said = element("output");
    said.setAttribute("aria-live", "polite");
    const row = element("div", {}, ...fields, element("button", { type: "submit" }, "Check"),
      element("small", {}, `to within ${within}`));
    row.setAttribute("role", "group");
    row.setAttribute("aria-labelledby", question.id);
    form.append(row, said);
    form.hidden = false;
    const wanting = (missing) => {
      if (inputs[missing].value.trim()) return "That is not a number; write something like 0.25, 1e-3, 1/3 or ln 2.";
      const name = names[missing]?.textContent ?? "";
      return inputs.every((input) => !input.value.trim()) || !name ? "Write a number first." : `Fill in the ${name} too.`;
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const numbers = inputs.map((input) => readNumber(input.value));
      const missing = numbers.indexOf(null);
      inputs.forEach((input, i) => input.setAttribute("aria-invalid", numbers[i] === null));
      if (missing >= 0) inputs[missing].focus();
      said.textContent = missing >= 0 ? wanting(missing) : judgeAnswer(numbers, about);
      form.classList.toggle("right", said.textContent === "Right.");
    });
  };

  if (typeof document !== "undefined") document.querySelectorAll("form[data-question]").forEach(build);
}
