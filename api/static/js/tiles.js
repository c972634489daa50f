// Pictures of many numbers: a sheet of tiles on a canvas, one for each, in maps where they have a height and a width.

const DARK = [32, 38, 47], ORANGE = [240, 145, 58], BRIGHT = [255, 249, 236], BLUE = [86, 180, 233], GAP = [10, 12, 15];

const mix = (from, to, part) => from.map((value, i) => value + (to[i] - value) * part);

/** The colour of a part of the most, 0 to 1: dark, orange, bright. */
export const warm = (part) => (part < 0.5 ? mix(DARK, ORANGE, 2 * part) : mix(ORANGE, BRIGHT, Math.min(1, 2 * part - 1)));

/** The colour of a part of the most, -1 to 1: blue below zero, orange above. */
export const signed = (part) => mix(DARK, part < 0 ? BLUE : ORANGE, Math.min(1, Math.abs(part)));

/** The places of numbers of a shape: [n] in a square, [height, width] as such, [maps, height, width] in maps side by side. */
export class Sheet {
  constructor(shape) {
    const [maps, height, width] = shape.length === 3 ? shape : shape.length === 2 ? [1, ...shape] : [1, ...square(shape[0])];
    this.count = shape.reduce((a, b) => a * b, 1);
    this.columns = Math.ceil(Math.sqrt(maps));
    Object.assign(this, { maps, mapHeight: height, mapWidth: width });
    const gap = maps > 1 ? 1 : 0;
    this.stepX = width + gap;
    this.stepY = height + gap;
    this.width = this.columns * this.stepX - gap;
    this.height = Math.ceil(maps / this.columns) * this.stepY - gap;
  }

  /** Where a number is, in tiles from the left and from the top. */
  placeOf(index) {
    const map = Math.floor(index / (this.mapHeight * this.mapWidth)), within = index % (this.mapHeight * this.mapWidth);
    return [(map % this.columns) * this.stepX + (within % this.mapWidth),
      Math.floor(map / this.columns) * this.stepY + Math.floor(within / this.mapWidth)];
  }

  /** Which number is at a place; null for none. */
  at(x, y) {
    const column = Math.floor(x / this.stepX), row = Math.floor(y / this.stepY), inX = x - column * this.stepX, inY = y - row * this.stepY;
    if (x < 0 || y < 0 || column >= this.columns || inX >= this.mapWidth || inY >= this.mapHeight) return null;
    const index = (row * this.columns + column) * this.mapHeight * this.mapWidth + inY * this.mapWidth + inX;
    return index < this.count ? index : null;
  }

  /** Paints colours, one for each number, on a canvas. */
  paint(canvas, colourOf) {
    if (canvas.width !== this.width || canvas.height !== this.height) Object.assign(canvas, { width: this.width, height: this.height });
    const context = canvas.getContext("2d"), image = context.createImageData(this.width, this.height);
    for (let i = 0; i < image.data.length; i += 4) image.data.set([...GAP, 255], i);
    for (let index = 0; index < this.count; index += 1) {
      const [x, y] = this.placeOf(index);
      image.data.set(colourOf(index), 4 * (y * this.width + x));
    }
    context.putImageData(image, 0, 0);
  }
}

function square(count) {
  const width = Math.ceil(Math.sqrt(count));
  return [Math.ceil(count / width), width];
}
