
// The page of curves: support points that are dragged, and what each learner predicts after it adapted to them.

(() => {
  const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9"];
  const DASHES = ["", "10 5", "12 4 3 4", "6 3", "18 4", "4 4"];
  const PLAYED = 250; // ms for a step
  const page = JSON.parse(document.getElementById("document").textContent);
  const { array, program } = library(page);
  const learners = page.learners.map((one) => ({ ...one, ...learner(one, { array, program }), shown: true }));
  const element = (id) => document.getElementById(id);
  const plot = element("plot");
  const state = { episode: 0, support: [], steps: Math.min(page.steps, 10), factor: 1, playing: 0 };
  const [left, right] = [page.x[0], page.x[page.x.length - 1]];
  const { x: ofX, y: ofY } = page.axes;
  const gridX = ofX.own ?? page.x;
  let [bottom, top] = [0, 1];
  let size = { width: 800, height: 400 };
  let wanted = false;
  let current = [];

  function svg(name, attributes, into = plot) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return into.appendChild(made);
  }

  const across = (x) => 40 + ((x - left) / (right - left)) * (size.width - 52);
  const down = (y) => size.height - 26 - ((y - bottom) / (top - bottom)) * (size.height - 38);
  const back = (px, py) => [
    left + ((px - 40) / (size.width - 52)) * (right - left),
    bottom + ((size.height - 26 - py) / (size.height - 38)) * (top - bottom),
  ];
  const path = (xs, ys) => {
    let text = "", pen = "M";
    xs.forEach((x, at) => {
      const y = ys[at];
      if (!Number.isFinite(y)) { pen = "M"; return; }
      text += `${pen}${across(x).toFixed(1)},${Math.max(-9e4, Math.min(9e4, down(y))).toFixed(1)}`;
      pen = "L";
    });
    return text;
  };

  // Between the numbers that networks have and those of a person's own data; along x as the page's numbers lie.
  function between(value, from, to) {
    let at = from.findIndex((each) => each > value);
    if (at === -1) at = from.length - 1;
    const before = Math.max(at, 1) - 1;
    const part = (value - from[before]) / (from[before + 1] - from[before]);
    return to[before] + part * (to[before + 1] - to[before]);
  }
  const ownX = (x) => between(x, page.x, gridX), netX = (x) => between(x, gridX, page.x);
  const ownY = (y) => ofY.zero + y * (ofY.one - ofY.zero), netY = (y) => (y - ofY.zero) / (ofY.one - ofY.zero);

  function ticks(low, high) {
    const raw = (high - low) / 6, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= raw);
    const found = [];
    for (let at = Math.ceil(low / step); at * step <= high; at++) found.push(Number((at * step).toPrecision(12)));
    return found;
  }

  // What stays while points are dragged.
  function frame() {
    const box = plot.getBoundingClientRect();
    size = { width: Math.max(200, box.width), height: Math.max(160, box.height) };
    plot.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
    plot.replaceChildren();
    for (const tick of ticks(ownX(left), ownX(right))) {
      const x = netX(tick);
      svg("line", { class: "grid", x1: across(x), x2: across(x), y1: down(bottom), y2: down(top) });
      svg("text", { x: across(x), y: size.height - 8, "text-anchor": "middle" }).textContent = tick;
    }
    for (const tick of ticks(ownY(bottom), ownY(top))) {
      const y = netY(tick);
      svg("line", { class: "grid", x1: across(left), x2: across(right), y1: down(y), y2: down(y) });
      svg("text", { x: 34, y: down(y) + 4, "text-anchor": "end" }).textContent = tick;
    }
    if (ofX.name !== "x") svg("text", { x: size.width - 14, y: size.height - 32, "text-anchor": "end" }).textContent = ofX.name;
    if (ofY.name !== "y") svg("text", { x: 46, y: 24 }).textContent = ofY.name;
    const { truth } = page.episodes[state.episode];
    if (truth) svg("path", { class: "truth", d: path(truth.map((each) => each[0]), truth.map((each) => each[1])) });
    learners.forEach((one, at) => {
      one.band = svg("path", { class: "band", fill: COLOURS[at] });
      one.curve = svg("path", { class: "curve", stroke: COLOURS[at], "stroke-dasharray": DASHES[at] });
    });
    state.support.forEach((point, at) => {
      point.dot = svg("circle", { class: "point", r: 7 });
      point.touch = svg("circle", { class: "touch", r: 16, tabindex: 0, role: "button" });
      point.touch.addEventListener("pointerdown", (event) => drag(event, at));
      point.touch.addEventListener("keydown", (event) => push(event, at));
    });
    ask();
  }

  function predictions() {
    const x = state.support.map((point) => point.x), y = state.support.map((point) => point.y);
    return learners.map((one) => {
      const rate = one.rate === null ? null : one.rate * state.factor;
      return one.shown ? one.predicted(one.adapted(x, y, one.atOnce ? Math.min(1, state.steps) : state.steps, rate)) : null;
    });
  }

  function draw() {
    wanted = false;
    current = predictions();
    learners.forEach((one, at) => {
      const found = current[at];
      one.curve.setAttribute("d", found ? path(page.x, found.points) : "");
      const hasBand = found && found.low;
      const around = hasBand ? path([...page.x, ...[...page.x].reverse()], [...found.low, ...[...found.high].reverse()]) : "";
      one.band.setAttribute("d", around);
    });
    state.support.forEach((point, at) => {
      for (const circle of [point.dot, point.touch]) {
        circle.setAttribute("cx", across(point.x));
        circle.setAttribute("cy", down(point.y));
      }
      const [x, y] = [ownX(point.x), ownY(point.y)].map((each) => Number(each.toPrecision(3)));
      const said = `support point ${at + 1} of ${state.support.length}: ${ofX.name} ${x}, ${ofY.name} ${y}`;
      point.touch.setAttribute("aria-label", said);
    });
    element("steps-said").textContent = state.steps;
    element("rate-said").textContent = rates();
    element("fewer").disabled = !sized(state.support.length - 1);
    element("more").disabled = !sized(state.support.length + 1);
  }

  function rates() {
    const own = learners.filter((one) => one.rate !== null).map((one) => Number((one.rate * state.factor).toPrecision(2)));
    const different = [...new Set(own)];
    return different.length === 1 ? different[0] : `× ${state.factor.toPrecision(2)}`;
  }

  const sized = (count) => learners.every((one) => one.sizes[count] !== undefined);

  function ask() {
    if (!wanted) requestAnimationFrame(draw);
    wanted = true;
  }

  function move(point, x, y) {
    point.x = Math.max(left, Math.min(right, x));
    point.y = Math.max(bottom, Math.min(top, y));
    ask();
  }

  function drag(event, at) {
    event.preventDefault();
    const point = state.support[at], { touch } = point;
    touch.focus({ preventScroll: true });
    touch.setPointerCapture(event.pointerId);
    const follow = (moved) => {
      const box = plot.getBoundingClientRect();
      move(point, ...back(moved.clientX - box.left, moved.clientY - box.top));
    };
    touch.addEventListener("pointermove", follow);
    for (const end of ["pointerup", "pointercancel"]) {
      touch.addEventListener(end, () => touch.removeEventListener("pointermove", follow), { once: true });
    }
  }

  function push(event, at) {
    const step = event.shiftKey ? 0.1 : 0.02;
    const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const direction = directions[event.key];
    if (!direction) return;
    event.preventDefault();
    const point = state.support[at];
    move(point, point.x + direction[0] * step * (right - left), point.y + direction[1] * step * (top - bottom));
  }

  // Begin with an episode: its points, and axes that hold them and the true curve.
  function begin(episode) {
    state.episode = episode;
    const { support, truth, number } = page.episodes[episode];
    state.support = support.map(([x, y]) => ({ x, y }));
    const seen = [...support, ...(truth ?? [])].map((each) => each[1]);
    const [low, high] = [Math.min(...seen), Math.max(...seen)], margin = 0.25 * (high - low || 1);
    [bottom, top] = [low - margin, high + margin];
    const dashed = truth ? " The dotted curve is the task's own, from which the points came." : "";
    element("said").textContent = `Test task ${number}.${dashed}`;
    frame();
  }

  function play() {
    clearInterval(state.playing);
    const toggle = (text) => { element("play").textContent = text; };
    if (state.playing) { state.playing = 0; toggle("Play the steps"); return; }
    let at = 0;
    toggle("Stop");
    const show = () => {
      choose(at);
      if (at++ >= page.steps) play();
    };
    state.playing = setInterval(show, PLAYED);
    show();
  }

  function choose(steps) {
    state.steps = steps;
    element("steps").value = steps;
    ask();
  }

  async function copy() {
    const cell = (name) => (/[",\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name);
    const digits = (number) => Number(number.toPrecision(6));
    const lines = [
      `${cell(ofX.name)},${cell(ofY.name)}`,
      ...state.support.map(({ x, y }) => `${digits(ownX(x))},${digits(ownY(y))}`),
    ];
    try {
      await navigator.clipboard.writeText(lines.join("\n") + "\n");
      element("said").textContent = "Copied as CSV: what `mamlzoo adapt --support FILE` reads.";
    } catch {
      element("said").textContent = lines.join("  ");
    }
  }

  element("title").textContent = `${page.task}: adapt it yourself`;
  element("rate-label").hidden = learners.every((one) => one.rate === null);
  learners.forEach((one, at) => {
    const label = document.createElement("label"), box = document.createElement("input");
    const swatch = document.createElement("span");
    Object.assign(box, { type: "checkbox", checked: true, onchange: () => { one.shown = box.checked; ask(); } });
    swatch.className = "swatch";
    swatch.style.borderTopColor = COLOURS[at];
    swatch.style.borderTopStyle = DASHES[at] ? "dashed" : "solid";
    label.append(box, swatch, one.name);
    element("legend").append(label);
  });
  element("steps").max = page.steps;
  element("steps").addEventListener("input", (event) => choose(Number(event.target.value)));
  element("rate").addEventListener("input", (event) => { state.factor = 10 ** event.target.value; ask(); });
  element("play").addEventListener("click", play);
  element("another").addEventListener("click", () => begin((state.episode + 1) % page.episodes.length));
  element("another").hidden = page.episodes.length === 1;
  element("fewer").addEventListener("click", () => { state.support.pop(); frame(); });
  element("more").addEventListener("click", () => {
    state.support.push({ x: (left + right) / 2, y: (bottom + top) / 2 });
    frame();
  });
  element("copy").addEventListener("click", copy);
  window.addEventListener("resize", frame);
  choose(state.steps);
  begin(0);

  // For whoever wants the numbers: what is drawn now.
  window.explorer = {
    support: () => state.support.map(({ x, y }) => [x, y]),
    predicted: (name) => {
      const at = learners.findIndex((one) => one.name === name);
      const found = predictions()[at];
      return found && { x: page.x, y: Array.from(found.points), low: found.low && Array.from(found.low), high: found.high && Array.from(found.high) };
    },
  };
})();
