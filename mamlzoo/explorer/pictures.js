
// The page of images: what is predicted of the query, and what it is when a support image is exchanged.

(() => {
  const page = JSON.parse(document.getElementById("document").textContent);
  const element = (id) => document.getElementById(id);
  const state = { learner: 0, step: page.steps.filter((steps) => steps <= 10).length - 1, exchange: -1 };

  function made(name, className, ...inside) {
    const found = document.createElement(name);
    found.className = className;
    found.append(...inside);
    return found;
  }

  function image(at, text) {
    const found = document.createElement("img");
    found.src = `data:image/png;base64,${page.images[at]}`;
    found.alt = text;
    return found;
  }

  const predicted = (exchange) => page.learners[state.learner].predicted[exchange + 1][state.step];

  // The next exchange of a support image, after which it is as it was again.
  function next(support) {
    const own = page.exchanges.map((pair, at) => (pair[0] === support ? at : -1)).filter((at) => at >= 0);
    const at = own.indexOf(state.exchange);
    return at + 1 < own.length ? own[at + 1] : -1;
  }

  function draw() {
    const focused = document.activeElement?.dataset?.support;
    const [one, other] = page.exchanges[state.exchange] ?? [-1, -1];
    const swapped = (at) => (at === one ? other : at === other ? one : at);
    const now = predicted(state.exchange), before = predicted(-1);
    const rows = [...new Set(page.classes)].sort((a, b) => a - b).map((which) => {
      const support = page.support.filter((at) => page.classes[at] === which).map((at) => {
        const button = made("button", "of", image(swapped(at), `support image of class ${which}`));
        button.type = "button";
        button.dataset.support = at;
        button.classList.toggle("changed", at === one);
        button.disabled = !page.exchanges.some((pair) => pair[0] === at);
        button.addEventListener("click", () => { state.exchange = next(at); draw(); });
        return button;
      });
      const query = page.query.map((at, row) => [at, row]).filter(([at]) => page.classes[at] === which).map(([at, row]) => {
        const [found, share] = now[row];
        const said = found < 0 ? "not finite" : `${found} · ${share}%`;
        const box = made("div", "of", image(swapped(at), `query image of class ${which}, predicted ${said}`), said);
        box.classList.add(found === which ? "right" : "wrong");
        box.classList.toggle("changed", found !== before[row][0]);
        return box;
      });
      return made("div", "row", made("span", "name", `class ${which}`), ...support, made("span", "quiet", "→"), ...query);
    });
    element("classes").replaceChildren(...rows);
    if (focused !== undefined) document.querySelector(`[data-support="${focused}"]`)?.focus();
    const right = now.filter(([found], row) => found === page.classes[page.query[row]]).length;
    const changed = now.filter(([found], row) => found !== before[row][0]).length;
    const moved = state.exchange < 0 ? "" : ` ${changed} predicted to be of another class than before.`;
    element("said").textContent = `Test episode ${page.number}: ${right} of ${now.length} right.${moved}`;
    element("steps-said").textContent = page.steps[state.step];
    element("back").disabled = state.exchange < 0;
  }

  element("title").textContent = `${page.task}: adapt it yourself`;
  page.learners.forEach((one, at) => {
    const label = document.createElement("label"), box = document.createElement("input");
    Object.assign(box, { type: "radio", name: "learner", checked: at === 0, onchange: () => { state.learner = at; draw(); } });
    label.append(box, one.name);
    element("legend").append(label);
  });
  element("steps").max = page.steps.length - 1;
  element("steps").value = state.step;
  element("steps").addEventListener("input", (event) => { state.step = Number(event.target.value); draw(); });
  element("back").addEventListener("click", () => { state.exchange = -1; draw(); });
  draw();
})();
