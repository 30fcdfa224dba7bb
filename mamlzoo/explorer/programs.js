// Programs of tensors, as mamlzoo/explorer/lowering.py writes them: buffers of static sizes, seen through strides.
// Numbers are computed in 64 bits, so they are those of Python but for Python's rounding to 32.

const FUNCTIONS = {
  abs: Math.abs,
  add: (a, b) => a + b,
  and: (a, b) => (a && b ? 1 : 0),
  atan: Math.atan,
  ceil: Math.ceil,
  copy: (a) => a,
  cos: Math.cos,
  cosh: Math.cosh,
  div: (a, b) => a / b,
  eq: (a, b) => (a === b ? 1 : 0),
  erf: erf,
  exp: Math.exp,
  expm1: Math.expm1,
  floor: Math.floor,
  ge: (a, b) => (a >= b ? 1 : 0),
  gt: (a, b) => (a > b ? 1 : 0),
  isnan: (a) => (a !== a ? 1 : 0),
  le: (a, b) => (a <= b ? 1 : 0),
  log: Math.log,
  log1p: Math.log1p,
  log2: Math.log2,
  lt: (a, b) => (a < b ? 1 : 0),
  maximum: Math.max,
  minimum: Math.min,
  mul: (a, b) => a * b,
  ne: (a, b) => (a !== b ? 1 : 0),
  neg: (a) => -a,
  not: (a) => (a ? 0 : 1),
  or: (a, b) => (a || b ? 1 : 0),
  pow: (a, b) => (b === 2 ? a * a : Math.pow(a, b)),
  reciprocal: (a) => 1 / a,
  relu: (a) => (a <= 0 ? 0 : a),
  round: (a) => (Math.abs(a % 1) === 0.5 ? 2 * Math.round(a / 2) : Math.round(a)), // half to even, as torch
  rsqrt: (a) => 1 / Math.sqrt(a),
  sigmoid: (a) => 1 / (1 + Math.exp(-a)),
  sigmoid_backward: (a, b) => a * b * (1 - b),
  sign: Math.sign,
  sin: Math.sin,
  sinh: Math.sinh,
  sqrt: Math.sqrt,
  sub: (a, b) => a - b,
  tan: Math.tan,
  tanh: Math.tanh,
  tanh_backward: (a, b) => a * (1 - b * b),
  threshold_backward: (a, b, c) => (b <= c ? 0 : a),
  trunc: Math.trunc,
  where: (a, b, c) => (a ? b : c),
};

const FOLDS = {
  sum: [0, (a, b) => a + b],
  prod: [1, (a, b) => a * b],
  max: [-Infinity, Math.max],
  min: [Infinity, Math.min],
};

// The error function: its series near 0, a continued fraction beyond (Abramowitz and Stegun, 7.1.6 and 7.1.14).
function erf(x) {
  const z = Math.abs(x);
  if (z < 2.5) {
    let term = z, sum = z;
    for (let n = 1; n < 60; n++) {
      term *= (2 * z * z) / (2 * n + 1);
      sum += term;
    }
    return (Math.sign(x) * 2 * Math.exp(-z * z) * sum) / Math.sqrt(Math.PI);
  }
  let fraction = z;
  for (let n = 60; n > 0; n--) fraction = z + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-z * z) / Math.sqrt(Math.PI) / fraction);
}

// Where in a buffer the elements of a shape are, in row-major order.
function positions(shape, [offset, ...strides]) {
  let found = Int32Array.of(offset);
  shape.forEach((size, axis) => {
    const wider = new Int32Array(found.length * size);
    for (let i = 0; i < found.length; i++) {
      for (let j = 0; j < size; j++) wider[i * size + j] = found[i] + j * strides[axis];
    }
    found = wider;
  });
  return found;
}

function numbers([kind, text]) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const [size, read] = {
    f4: [4, (at) => view.getFloat32(at, true)],
    f8: [8, (at) => view.getFloat64(at, true)],
    i4: [4, (at) => view.getInt32(at, true)],
  }[kind];
  return Float64Array.from({ length: bytes.length / size }, (_, at) => read(at * size));
}

// A program as a function of its inputs' numbers.
function compiled(document, arrays) {
  const buffers = document.sizes.map((size) => new Float64Array(size));
  for (const [buffer, array] of document.held) buffers[buffer].set(arrays[array]);

  const operand = (given, shape) => {
    if (typeof given === "number") {
      return [Float64Array.of(given), positions(shape, [0, ...shape.map(() => 0)])];
    }
    const [buffer, ...where] = given;
    return [buffers[buffer], positions(shape, where)];
  };

  const instructions = {
    map(name, target, shape, ...operands) {
      const f = FUNCTIONS[name];
      const [to, at] = operand(target, shape);
      const [[a, i], [b, j] = [], [c, k] = []] = operands.map((each) => operand(each, shape));
      if (operands.length === 1) return () => { for (let n = 0; n < at.length; n++) to[at[n]] = f(a[i[n]]); };
      if (operands.length === 2) return () => { for (let n = 0; n < at.length; n++) to[at[n]] = f(a[i[n]], b[j[n]]); };
      return () => { for (let n = 0; n < at.length; n++) to[at[n]] = f(a[i[n]], b[j[n]], c[k[n]]); };
    },
    fold(name, target, shape, folded, [buffer, offset, ...strides]) {
      const [start, f] = FOLDS[name];
      const from = buffers[buffer], to = buffers[target];
      const kept = positions(shape, [offset, ...strides.slice(0, shape.length)]);
      const gone = positions(folded, [0, ...strides.slice(shape.length)]);
      return () => {
        for (let n = 0; n < kept.length; n++) {
          let value = start;
          for (let m = 0; m < gone.length; m++) value = f(value, from[kept[n] + gone[m]]);
          to[n] = value;
        }
      };
    },
    mm([target, first], [m, k, n], [left, a, am, ak], [right, b, bk, bn]) {
      const x = buffers[left], y = buffers[right], to = buffers[target];
      return () => {
        for (let i = 0; i < m; i++) {
          for (let j = 0; j < n; j++) {
            let sum = 0;
            for (let l = 0, p = a + i * am, q = b + j * bn; l < k; l++, p += ak, q += bk) sum += x[p] * y[q];
            to[first + i * n + j] = sum;
          }
        }
      };
    },
    cholesky([target, first], n, given) {
      const [from, at] = operand(given, [n, n]);
      const to = buffers[target];
      return () => {
        for (let i = 0; i < n; i++) {
          for (let j = 0; j < n; j++) {
            let sum = from[at[i * n + j]];
            for (let l = 0; l < Math.min(i, j); l++) sum -= to[first + i * n + l] * to[first + j * n + l];
            if (j < i) sum /= to[first + j * n + j];
            to[first + i * n + j] = j > i ? 0 : j === i ? Math.sqrt(sum) : sum;
          }
        }
      };
    },
    solve([target, first], [n, m], isUpper, isUnit, triangle, right) {
      const [a, i] = operand(triangle, [n, n]);
      const [b, j] = operand(right, [n, m]);
      const to = buffers[target];
      return () => {
        for (let step = 0; step < n; step++) {
          const row = isUpper ? n - 1 - step : step;
          const [low, high] = isUpper ? [row + 1, n] : [0, row];
          for (let column = 0; column < m; column++) {
            let sum = b[j[row * m + column]];
            for (let l = low; l < high; l++) sum -= a[i[row * n + l]] * to[first + l * m + column];
            to[first + row * m + column] = isUnit ? sum : sum / a[i[row * n + row]];
          }
        }
      };
    },
    take(target, places, source) {
      const from = buffers[source], to = buffers[target], at = arrays[places];
      return () => { for (let n = 0; n < to.length; n++) to[n] = from[at[n]]; };
    },
    pick(target, shape, stride, given, places) {
      const [from, at] = operand(given, shape);
      const [place, where] = operand(places, shape);
      const to = buffers[target];
      return () => { for (let n = 0; n < to.length; n++) to[n] = from[at[n] + stride * place[where[n]]]; };
    },
    sort(target, order, [rows, n], isDescending, source) {
      const from = buffers[source];
      return () => {
        for (let row = 0; row < rows; row++) {
          const own = from.subarray(row * n, (row + 1) * n);
          const sorted = Array.from(own.keys()).sort((i, j) => (isDescending ? own[j] - own[i] : own[i] - own[j]));
          buffers[order].set(sorted, row * n);
          buffers[target].set(sorted.map((at) => own[at]), row * n);
        }
      };
    },
  };

  const code = document.code.map(([kind, ...how]) => instructions[kind](...how));
  return (inputs) => {
    document.inputs.forEach((buffer, at) => buffers[buffer].set(inputs[at]));
    for (const instruction of code) instruction();
    return document.outputs.map((buffer) => buffers[buffer].slice());
  };
}

// All programs of a page, each made ready when it is first wanted.
function library({ arrays, programs }) {
  const read = [], ready = [];
  const array = (at) => (read[at] ??= numbers(arrays[at]));
  const every = new Proxy([], { get: (_, at) => array(at) });
  return { array, program: (at) => (ready[at] ??= compiled(programs[at], every)) };
}

// What a learner makes of a support set. It is [x …] and [y …]; what is given back are arrays of numbers.
function learner(document, page) {
  const theta = document.theta.map(page.array);
  return {
    adapted(x, y, steps, rate) {
      const of = document.sizes[x.length], support = [Float64Array.from(x), Float64Array.from(y)];
      const given = [Float64Array.of(rate ?? document.rate ?? 0), ...theta];
      let fast = page.program(of.start)([...given, ...support]);
      for (let step = 0; step < steps; step++) {
        const number = of.steps[Math.min(step, of.steps.length - 1)];
        fast = page.program(number)([...given, ...fast, ...support]);
      }
      return { given, fast, of, steps };
    },
    predicted({ given, fast, of, steps }) {
      const number = of.reads[Math.min(steps, of.reads.length - 1)];
      const [points, low, high] = page.program(number)([...given, ...fast, page.array(document.at)]);
      return { points, low, high };
    },
  };
}
