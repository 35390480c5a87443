// The form: what is chosen, and a slider with a number beside it for each parameter.

const at = (id) => document.getElementById(id);

export function choices(id, names, chosen) {
  at(id).replaceChildren(...names.map((name) => new Option(name, name, false, name === chosen)));
}

// A text field for each option of the transform; `changed` is called when one is done.
export function options(held, changed) {
  at("options").replaceChildren(
    ...held.map(({ name, value }) => {
      const [label, input] = [document.createElement("label"), document.createElement("input")];
      input.type = "text";
      input.name = name;
      input.value = value;
      input.spellcheck = false;
      input.addEventListener("change", changed);
      label.append(name, input);
      return label;
    }),
  );
}

export function optionTexts() {
  return Object.fromEntries([...at("options").querySelectorAll("input")].map((input) => [input.name, input.value]));
}

export class Sliders {
  // `changed(theta)` is called while a slider moves.
  constructor(changed) {
    this.changed = changed;
    this.rows = [];
  }

  make(params) {
    this.rows = params.map((param, i) => this.row(param, i));
    at("sliders").replaceChildren(...this.rows.map((row) => row.element));
  }

  row(param, i) {
    const element = document.createElement("div");
    const [name, range, number] = ["span", "input", "input"].map((tag) => document.createElement(tag));
    element.className = "slider";
    name.textContent = param.name;
    name.title = param.name;
    Object.assign(range, { type: "range", min: param.low, max: param.high, step: 0.001 });
    Object.assign(number, { type: "number", step: 0.01 });
    for (const input of [range, number]) {
      input.setAttribute("aria-label", param.name);
      input.addEventListener("input", () => this.typed(i, input));
    }
    element.append(name, range, number);
    return { element, range, number, value: param.start };
  }

  typed(i, input) {
    if (!Number.isFinite(input.valueAsNumber)) return;
    const row = this.rows[i];
    row.value = input.valueAsNumber;
    this.set(row, input);
    this.changed(this.theta());
  }

  // A value beyond the slider's ends moves them; the field that is typed in is left alone.
  set(row, typed) {
    row.range.min = Math.min(row.range.min, row.value);
    row.range.max = Math.max(row.range.max, row.value);
    if (row.range !== typed) row.range.value = row.value;
    if (row.number !== typed) row.number.value = Number(row.value.toFixed(5));
  }

  theta() {
    return this.rows.map((row) => row.value);
  }

  show(theta) {
    theta.forEach((value, i) => {
      this.rows[i].value = value;
      this.set(this.rows[i], document.activeElement);
    });
  }
}
