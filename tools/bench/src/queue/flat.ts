/**
 * The limit that queues are measured against: a loop that does what a load needs and checks nothing. It believes each index,
 * address and length, knows one region of memory, one shape of chain, and no features.
 *
 * Each is to run in a process of its own: a function that has seen two shapes is slower for both.
 * @module
 */
import {
  BUFFER_BYTES,
  BUFFERS,
  DEVICE_AREA,
  DRIVER_AREA,
  frameOf,
  makeMemory,
  offerOf,
  RING,
  type Shape,
  SIZE,
} from "./rings.ts";

const MASK = SIZE - 1;

/** Takes, copies out of and gives back what {@link offerOf} offers, by the shape of `shape`, over one region. */
export function flatDevice(shape: Shape): () => void {
  const memory = makeMemory(1);
  const one: Shape = { ...shape, regions: 1 };
  const offer = offerOf(memory, one);
  return shape.packed ? flatPacked(memory.regions[0], one, offer) : flatSplit(memory.regions[0], one, offer);
}

/** The views of memory's one region. */
interface Views {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
}

function flatSplit(
  { u8, u16, u32 }: Views,
  { chains, length, indirect, push, copy }: Shape,
  offer: () => void,
): () => void {
  const [heads, offsets, lengths] = [0, 0, 0].map(() => new Uint32Array(SIZE * 2));
  const frame = frameOf();
  const avail = DRIVER_AREA / 2 + 2;
  const used = DEVICE_AREA / 4 + 1;
  let position = 0;
  return () => {
    offer();
    let at = 0;
    for (let chain = 0; chain < chains; chain++) {
      const head = u16[avail + ((position + chain) & MASK)];
      let word = RING / 4 + 4 * head;
      let base = RING / 4;
      if (indirect) {
        base = u32[word] >>> 2;
        word = base;
      }
      heads[chain] = head;
      for (let i = 0; i < length; i++) {
        offsets[at] = u32[word];
        lengths[at] = u32[word + 2];
        at++;
        word = base + 4 * (u32[word + 3] >>> 16);
      }
    }
    if (copy > 0) for (let i = 0; i < chains; i++) frame.set(u8.subarray(offsets[i], offsets[i] + copy));
    if (!push) return;
    for (let chain = 0; chain < chains; chain++) {
      const word = used + 2 * ((position + chain) & MASK);
      u32[word] = heads[chain];
      u32[word + 1] = 0;
    }
    position = (position + chains) & 0xffff;
    u16[DEVICE_AREA / 2 + 1] = position;
  };
}

function flatPacked(
  { u8, u32 }: Views,
  { chains, length, indirect, push, copy }: Shape,
  offer: () => void,
): () => void {
  const [ids, offsets, lengths] = [0, 0, 0].map(() => new Uint32Array(SIZE * 2));
  const frame = frameOf();
  const step = indirect ? 1 : length;
  let next = 0;
  let flags = USED_FIRST_LAP;
  return () => {
    offer();
    let at = 0;
    let entry = next;
    for (let chain = 0; chain < chains; chain++) {
      let word = RING / 4 + 4 * entry;
      ids[chain] = u32[word + 3] & 0xffff;
      if (indirect) word = u32[word] >>> 2;
      for (let i = 0; i < length; i++) {
        offsets[at] = u32[word];
        lengths[at] = u32[word + 2];
        at++;
        word += 4;
      }
      entry = (entry + step) & MASK;
    }
    if (copy > 0) for (let i = 0; i < chains; i++) frame.set(u8.subarray(offsets[i], offsets[i] + copy));
    if (!push) return;
    for (let chain = 0; chain < chains; chain++) {
      const word = RING / 4 + 4 * next;
      u32[word + 2] = 0;
      u32[word + 3] = ids[chain] | flags;
      next += step;
      if (next < SIZE) continue;
      next = 0;
      flags ^= USED_FIRST_LAP;
    }
  };
}

/** AVAIL and USED, both set in the first lap and clear in the second, where the last word of a descriptor has them. */
const USED_FIRST_LAP = ((1 << 7) | (1 << 15)) << 16;

/** The driver's side: writes a descriptor for each buffer, and looks at what came back. */
export function flatDriver(packed: boolean, chains: number, use: () => void, { u16, u32 }: Views): () => void {
  const ids = new Uint32Array(SIZE);
  const lengths = new Uint32Array(SIZE);
  let position = 0;
  let bits = AVAILABLE_FIRST_LAP;
  const addPacked = (): void => {
    for (let i = 0; i < chains; i++) {
      const word = RING / 4 + 4 * ((position + i) & MASK);
      u32[word] = BUFFERS + 2048 * i;
      u32[word + 1] = 0;
      u32[word + 2] = BUFFER_BYTES;
      u32[word + 3] = i | bits;
    }
  };
  const addSplit = (): void => {
    for (let i = 0; i < chains; i++) {
      const word = RING / 4 + 4 * i;
      u32[word] = BUFFERS + 2048 * i;
      u32[word + 1] = 0;
      u32[word + 2] = BUFFER_BYTES;
      u32[word + 3] = 2;
      u16[DRIVER_AREA / 2 + 2 + ((position + i) & MASK)] = i;
    }
    u16[DRIVER_AREA / 2 + 1] = (position + chains) & 0xffff;
  };
  return () => {
    if (packed) addPacked();
    else addSplit();
    use();
    for (let i = 0; i < chains; i++) {
      const at = (position + i) & MASK;
      ids[i] = packed ? u32[RING / 4 + 4 * at + 3] & 0xffff : u32[DEVICE_AREA / 4 + 1 + 2 * at];
      lengths[i] = packed ? u32[RING / 4 + 4 * at + 2] : u32[DEVICE_AREA / 4 + 2 + 2 * at];
    }
    position = (position + chains) & (packed ? MASK : 0xffff);
    if (packed && position === 0) bits ^= USED_FIRST_LAP;
  };
}

/** AVAIL, and WRITE, for the buffers of the first lap; the other flag in the second. */
const AVAILABLE_FIRST_LAP = ((1 << 7) | 2) << 16;
