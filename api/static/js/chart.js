// Accessible charts: axes with units, a legend, values under the pointer or by arrow keys, and a table.

import { el, t } from "./common.js";

const NS = "http://www.w3.org/2000/svg";
const MARGIN = { top: 10, right: 22, bottom: 40, left: 58 };

/** Creates an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** About `count` round numbers from low to high. */
export function ticks(low, high, count = 5) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}

/** The common part of all charts: caption, legend, plot, tooltip and table. */
class Chart {
  constructor(host, { title, x, y, height = 220 }) {
    Object.assign(this, { x, y, height });
    this.legend = el("ul", { className: "legend" });
    this.plot = svg("svg", { role: "img", tabindex: "0", "aria-label": title });
    this.tip = el("div", { className: "tip", "aria-live": "polite", hidden: true });
    this.table = el("table");
    const details = el("details", {}, el("summary", {}, t("js.as_table")), this.table);
    details.addEventListener("toggle", () => this.fillTable());
    this.details = details;
    host.replaceChildren(
      el("figure", { className: "chart" }, el("figcaption", {}, title), this.legend,
        el("div", { className: "plot" }, this.plot, this.tip), details));
    this.plot.addEventListener("pointermove", (event) => this.point(event.offsetX, event.offsetY));
    this.plot.addEventListener("pointerleave", () => this.unpoint());
    this.plot.addEventListener("blur", () => this.unpoint());
    this.plot.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.render()).observe(this.plot.parentElement);
  }

  /** Draws these series. */
  draw(series) {
    this.series = series;
    this.legend.replaceChildren(...series.map(({ name, color, dash }) =>
      el("li", {}, svg("svg", { width: 26, height: 10, "aria-hidden": "true" }, this.sample(color, dash)), name)));
    this.render();
    this.fillTable();
  }

  sample(color, dash) {
    return svg("line", { x1: 1, x2: 25, y1: 5, y2: 5, class: `line ${color}`, "stroke-dasharray": dash ?? "" });
  }

  frame([x0, x1], [y0, y1]) {
    const width = Math.max(240, this.plot.parentElement.clientWidth);
    const inner = { width: width - MARGIN.left - MARGIN.right, height: this.height - MARGIN.top - MARGIN.bottom };
    this.sx = (x) => MARGIN.left + ((x - x0) / (x1 - x0 || 1)) * inner.width;
    this.sy = (y) => MARGIN.top + (1 - (y - y0) / (y1 - y0 || 1)) * inner.height;
    const bottom = this.height - MARGIN.bottom;
    const parts = [];
    for (const value of ticks(y0, y1, this.height > 180 ? 5 : 3)) {
      const y = this.sy(value);
      parts.push(svg("line", { class: "gridline", x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }));
      parts.push(svg("text", { class: "tick", x: MARGIN.left - 7, y: y + 4, "text-anchor": "end" }, this.y.format(value)));
    }
    const most = Math.max(2, Math.floor(inner.width / 70));
    for (const value of this.x.ticks?.(x0, x1, most) ?? ticks(x0, x1, most)) {
      parts.push(svg("text", { class: "tick", x: this.sx(value), y: bottom + 16, "text-anchor": "middle" },
        this.x.format(value)));
    }
    parts.push(svg("line", { class: "axisline", x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom }));
    parts.push(svg("text", { class: "axisname", x: MARGIN.left + inner.width / 2, y: this.height - 5,
      "text-anchor": "middle" }, this.x.label));
    parts.push(svg("text", { class: "axisname", x: 0, y: 0, "text-anchor": "middle",
      transform: `translate(13 ${MARGIN.top + inner.height / 2}) rotate(-90)` }, this.y.label));
    for (const [index, { from, to, name }] of (this.regions ?? []).entries()) {
      const left = this.sx(from), width_ = this.sx(to) - left;
      if (index % 2) parts.unshift(svg("rect", { class: "region", x: left, width: width_, y: MARGIN.top, height: inner.height }));
      parts.push(svg("text", { class: "regionname", x: left + width_ / 2, y: this.y.regionsAtTop ? MARGIN.top + 12 : bottom - 6, "text-anchor": "middle" }, name));
    }
    this.plot.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    this.plot.setAttribute("width", width);
    this.plot.setAttribute("height", this.height);
    return parts;
  }

  /** All x of all series, ascending. */
  get places() {
    return [...new Set(this.series.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
  }

  point(px) {
    const places = this.series?.length ? this.places : [];
    if (!places.length) return;
    this.show(places.reduce((a, b) => (Math.abs(this.sx(b) - px) < Math.abs(this.sx(a) - px) ? b : a)));
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") this.unpoint();
    const places = this.series?.length ? this.places : [];
    if (!step || !places.length) return;
    event.preventDefault();
    const now = places.indexOf(this.shown);
    this.show(places[Math.min(places.length - 1, Math.max(0, now < 0 ? places.length - 1 : now + step))]);
  }

  show(x) {
    this.shown = x;
    const values = this.series.flatMap(({ name, color, points, format }) =>
      points.filter(([at]) => at === x).map(([, y]) => [name, color, (format ?? this.y.format)(y)]));
    this.tip.hidden = false;
    this.tip.replaceChildren(el("b", {}, `${this.x.label}: ${(this.x.exact ?? this.x.format)(x)}`),
      ...values.map(([name, color, value]) => el("span", {}, el("i", { className: color }), `${name}: ${value}`)));
    const place = this.sx(x);
    const width = this.plot.parentElement.clientWidth;
    this.tip.style.setProperty("left", `${Math.min(Math.max(4, place + 10), width - this.tip.offsetWidth - 4)}px`);
    this.cursor?.remove();
    this.cursor = svg("line", { class: "cursor", x1: place, x2: place, y1: MARGIN.top, y2: this.height - MARGIN.bottom });
    this.plot.append(this.cursor);
  }

  unpoint() {
    this.shown = null;
    this.tip.hidden = true;
    this.cursor?.remove();
  }

  fillTable() {
    if (!this.details.open || !this.series) return;
    const rows = this.places.map((x) => el("tr", {}, el("th", { scope: "row" }, (this.x.exact ?? this.x.format)(x)),
      ...this.series.map(({ points, format }) => {
        const found = points.find(([at]) => at === x);
        return el("td", {}, found ? (format ?? this.y.format)(found[1]) : "");
      })));
    this.table.replaceChildren(
      el("thead", {}, el("tr", {}, ...[this.x.label, ...this.series.map(({ name }) => name)].map((name) =>
        el("th", { scope: "col" }, name)))), el("tbody", {}, ...rows));
  }
}

/** Lines over a common x; a series has name, color, points [[x, y]], and optionally dash, dots, and a gap of x that interrupts it. */
export class LineChart extends Chart {
  render() {
    const all = (this.series ?? []).flatMap(({ points }) => points);
    const xs = all.map(([x]) => x), ys = all.map(([, y]) => y);
    const low = this.y.min ?? (ys.length && this.y.low ? this.y.low(Math.min(...ys)) : Math.min(0, ...ys));
    const high = this.y.max ?? (ys.length && this.y.high ? this.y.high(Math.max(...ys))
      : Math.max(this.y.atLeast ?? 0, Math.max(...ys, low + 1e-9) * 1.05));
    const left = this.x.min ?? Math.min(...xs, Infinity), right = this.x.max ?? Math.max(...xs, -Infinity);
    const parts = this.frame(all.length || this.x.min !== undefined ? [left, right] : [0, 1], [low, high]);
    for (const { points, color, dash, dots, gap = Infinity } of this.series ?? []) {
      const path = points.map(([x, y], i) => `${i && x - points[i - 1][0] < gap ? "L" : "M"}${this.sx(x).toFixed(1)} ${this.sy(y).toFixed(1)}`).join("");
      parts.push(svg("path", { d: path, class: `line ${color}`, "stroke-dasharray": dash ?? "" }));
      if (dots || points.length === 1) {
        parts.push(...points.map(([x, y]) => svg("circle", { cx: this.sx(x), cy: this.sy(y), r: 3.2, class: `dot ${color}` })));
      }
    }
    this.plot.replaceChildren(...parts);
  }
}

/** Stacked columns; all series have values at the same x. */
export class StackedColumns extends Chart {
  sample(color) {
    return svg("rect", { x: 6, y: 0, width: 12, height: 10, rx: 2, class: `column ${color}` });
  }

  render() {
    const places = this.series?.length ? this.places : [];
    const step = places.length > 1 ? places[1] - places[0] : 1;
    const parts = this.frame(places.length ? [places[0] - step / 2, places.at(-1) + step / 2] : [0, 1], [0, this.y.max]);
    const width = Math.max(1, Math.abs(this.sx(step) - this.sx(0)) * 0.8);
    const tops = new Map(places.map((x) => [x, 0]));
    for (const { points, color } of this.series ?? []) {
      for (const [x, y] of points) {
        if (!y) continue;
        const from = tops.get(x), to = Math.min(this.y.max, from + y);
        tops.set(x, to);
        parts.push(svg("rect", { x: this.sx(x) - width / 2, width, y: this.sy(to),
          height: Math.max(0, this.sy(from) - this.sy(to)), class: `column ${color}` }));
      }
    }
    this.plot.replaceChildren(...parts);
  }
}
