/**
 * The mutants: each breaks one check or one step of the queues. `[file, what is there, what is put there]`; where
 * that is found twice, each place is a mutant.
 * @module
 */

const BASE = "src/device/base-device-queue.ts";
const HOLDINGS = "src/device/holdings.ts";
const IN_ORDER = "src/device/in-order.ts";
const WALKER = "src/device/chain-walker.ts";
const WINDOWS = "src/device/windows.ts";
const SINGLES = "src/device/singles.ts";
const SPLIT_AVAILABLE = "src/device/split-available.ts";
const SPLIT_SINGLES = "src/device/split-singles.ts";
const SPLIT_CHAINS = "src/device/split-chains.ts";
const SPLIT_WALKER = "src/device/split-walker.ts";
const SPLIT_USED = "src/device/split-used.ts";
const PACKED_AVAILABLE = "src/device/packed-available.ts";
const PACKED_SINGLES = "src/device/packed-singles.ts";
const PACKED_CHAINS = "src/device/packed-chains.ts";
const PACKED_WALKER = "src/device/packed-walker.ts";
const PACKED_USED = "src/device/packed-used.ts";
const RESTORE = "src/device/restore.ts";
const DRIVER = "src/driver/base-driver-queue.ts";
const SHADOW = "src/driver/shadow.ts";
const SPLIT_DRIVER = "src/driver/split-driver-queue.ts";
const PACKED_DRIVER = "src/driver/packed-driver-queue.ts";
const PACKED_USED_BUFFERS = "src/driver/packed-used.ts";
const ELEMENTS = "src/driver/buffer-elements.ts";
const DRIVER_RESTORE = "src/driver/restore.ts";
const BURST = "src/chain-burst.ts";
const CURSOR = "src/chain-cursor.ts";
const AREAS = "src/layout/areas.ts";
const SPLIT_LAYOUT = "src/layout/split.ts";
const SPLIT_EVENTS = "src/layout/split-events.ts";
const PACKED_LAYOUT = "src/layout/packed.ts";
const PACKED_EVENTS = "src/layout/packed-events.ts";

const WINDOW_A = "high === highA && offset <= lastA && span <= ((leftA - offset) | 0)";
const WINDOW_B = "high !== highB || offset > lastB || span > ((leftB - offset) | 0)";

/** What every loop that finds buffers for itself must check. */
const loops = [SPLIT_SINGLES, SPLIT_CHAINS, PACKED_SINGLES, PACKED_CHAINS].flatMap((file) => [
  [file, WINDOW_A, "offset <= lastA && span <= ((leftA - offset) | 0)"],
  [file, WINDOW_A, "high === highA && offset <= lastA"],
  [file, WINDOW_A, "high === highA && span <= ((leftA - offset) | 0)"],
  [file, WINDOW_B, "offset > lastB || span > ((leftB - offset) | 0)"],
  [file, WINDOW_B, "false"],
  [file, "length + (BIAS - 1)", "length + (BIAS - 2)"],
  [file, "_LAST] - BIAS", "_LAST] - BIAS + 1"],
  [file, "_OFFSET] + BIAS", "_OFFSET]"],
]);

/** What the loops that take chains of any length must check. */
const chains = [SPLIT_CHAINS, PACKED_CHAINS].flatMap((file) => [
  [file, "if (bytes <= before) break chains;", ""],
  [file, "if (direction !== 0) break chains;", ""],
  [file, "if (end >= stop) break chains;", "if (end >= room) break chains;"],
  [file, "(length & 15) !== 0 || ", ""],
  [file, "|| (offset & 3) !== 0", ""],
  [file, "if (from < burst.plain) burst.plain = from;", ""],
  [file, "if (several !== 0) out", "if (several > 1) out"],
]);

export const mutants = [
  // The device's half of a queue.
  [BASE, "walker.left === 0", "false"],
  [BASE, "if (done < count) this.fail(", "if (false) this.fail("],
  [BASE, "    if (this.stopped) return false;\n    if (this.inOrder", "    if (this.inOrder"],
  [BASE, "const most = count > this.fresh ? 0 : ", "const most = "],
  [BASE, "    this.fresh = 0;\n", ""],
  [BASE, "    this.fresh -= done;\n", ""],
  [BASE, "if (end < to) this.fail(", "if (false) this.fail("],
  [BASE, "inOrder?.give(head, written) ?? holdings.isHeld(head)", "inOrder?.give(head, written) ?? true"],
  [BASE, "    this.holdings.published(entries);\n", ""],
  [BASE, "holdings.entries += unpublished.entries;", ""],
  [BASE, "    for (const head of unpublished.heads) holdings.release(head);\n", ""],
  [BASE, "    this.events.follow(this.available.position);", ""],
  [BASE, "    return this.available.isAvailable();", "    return false;"],
  [BASE, "    this.onFault?.(fault);", ""],
  [BASE, "    this.memory.refresh();\n    used.publish();", "    used.publish();"],
  [BASE, "QUEUE_EMPTY : QUEUE_MALFORMED;\n    this.memory.refresh();", "QUEUE_EMPTY : QUEUE_MALFORMED;"],
  [HOLDINGS, "return this.book[head] < this.turn;", "return true;"],
  [HOLDINGS, "      if (mark >= 0) break;\n", ""],
  [HOLDINGS, "      book[head] = 0;\n", ""],
  [HOLDINGS, "    this.book[head] = this.turn;\n", "    this.book[head] = 0;\n"],
  [HOLDINGS, "    this.entries -= entries;\n    return", "    return"],
  [HOLDINGS, "    this.entries -= entries;\n    this.turn++;", "    this.turn++;"],
  [HOLDINGS, "    this.turn++;\n", ""],
  [HOLDINGS, "if (!this.isHeld(head)) this.book[head] = 0;", "this.book[head] = 0;"],
  [HOLDINGS, "if (!this.isHeld(head)) this.book[head] = 0;", ""],
  [IN_ORDER, "this.isDue() && written[place] === writable[place]", "this.isDue()"],
  [IN_ORDER, "this.isDue() && written[place] === writable[place]", "false"],
  [IN_ORDER, "return this.count > 0 && this.written", "return this.written"],
  [IN_ORDER, "      batch = 0;\n", ""],
  [IN_ORDER, "      this.holdings.release(head[place]);\n", ""],
  [IN_ORDER, "!this.holdings.isHeld(head) || ", ""],
  [IN_ORDER, " || this.written[this.place[head]] !== WAITS", ""],
  [IN_ORDER, " && this.written[(this.oldest + this.count - 1) & this.mask] === WAITS", ""],

  // The walk of a chain.
  [WALKER, 'if (this.writes) return this.fail("order", index);', ""],
  [WALKER, "if (bytes >= MAX_CHAIN_BYTES)", "if (false)"],
  [WALKER, "if (bytes >= MAX_CHAIN_BYTES)", "if (bytes >= MAX_CHAIN_BYTES - 1)"],
  [WALKER, "    this.steps++;\n", ""],
  [WALKER, "Math.max(BURST_DESCRIPTORS - this.steps, 0)", "BURST_DESCRIPTORS - this.steps"],
  [WALKER, "if (length === 0) return true;", ""],
  [WALKER, 'if (!this.indirect) return this.fail("indirect-unexpected", address);', ""],
  [WALKER, "if (length === 0 || length % DESCRIPTOR_SIZE !== 0)", "if (length % DESCRIPTOR_SIZE !== 0)"],
  [WALKER, "if (length === 0 || length % DESCRIPTOR_SIZE !== 0)", "if (length === 0)"],
  [WALKER, "if (index >= 0 && address % 4 === 0) {", "if (index >= 0) {"],
  [WALKER, 'if (!this.memory.contains(address, length)) return this.fail("indirect-out-of-range", address);', ""],
  [WALKER, "      this.readableBytes = bytes;\n", ""],
  [WALKER, 'if (index < 0) return this.fail("buffer-out-of-range", address);', "if (index < 0) return true;"],
  [WALKER, "const part = Math.min(left, region.end - start);", "const part = left;"],
  [WINDOWS, "high === words[w + WINDOW_HIGH] && offset <= last", "offset <= last"],
  [WINDOWS, "length - 1 <= (last - offset) >>> 0", "length - 2 <= (last - offset) >>> 0"],
  [WINDOWS, "end - start - 1, index", "end - start, index"],
  [WINDOWS, ", start + MOST_BYTES)", ")"],
  [WINDOWS, " && memory.regions.length === 1", ""],
  [SINGLES, "burst.plainDirection === direction ? burst.plain : 0", "burst.plain"],
  ...loops,
  ...chains,

  // The split ring, device side.
  [SPLIT_AVAILABLE, "if (ready <= size - this.holdings.entries) return", "if (true) return"],
  [SPLIT_AVAILABLE, "ready <= size - this.holdings.entries", "ready < size - this.holdings.entries"],
  [SPLIT_AVAILABLE, "ready <= size - this.holdings.entries", "ready <= size"],
  [SPLIT_AVAILABLE, "if (head >= size) return", "if (false) return"],
  [SPLIT_AVAILABLE, "if (!holdings.isFree(head)) return", "if (false) return"],
  [SPLIT_SINGLES, "if (head >= size || book[head] >= turn) break;", "if (head >= size) break;"],
  [SPLIT_SINGLES, "if (head >= size || book[head] >= turn) break;", "if (book[head] >= turn) break;"],
  [SPLIT_SINGLES, "VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE | V", "VIRTQ_DESC_F_WRITE | V"],
  [SPLIT_SINGLES, "VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_INDIRECT;", "VIRTQ_DESC_F_WRITE;"],
  [SPLIT_SINGLES, "(flags & F_KIND) !== direction", "(flags & (F_KIND & ~F_WRITE)) !== 0"],
  [SPLIT_SINGLES, "    book[head] = HELD | 1;\n", ""],
  [SPLIT_SINGLES, "let at = burst.first[chain] & INDEX", "let at = chain & INDEX"],
  [SPLIT_CHAINS, "if (head >= size || book[head] >= turn) break;", "if (head >= size) break;"],
  [SPLIT_CHAINS, "if (head >= size || book[head] >= turn) break;", "if (book[head] >= turn) break;"],
  [SPLIT_CHAINS, "          kind = 0;\n", ""],
  [SPLIT_CHAINS, "side.indirect ? F_INDIRECT | F_NEXT : 0", "F_INDIRECT | F_NEXT"],
  [SPLIT_CHAINS, "side.indirect ? F_INDIRECT | F_NEXT : 0", "side.indirect ? F_INDIRECT : 0"],
  [SPLIT_CHAINS, "if (index >= entries) break chains;", ""],
  [SPLIT_CHAINS, "    book[head] = HELD | 1;\n", ""],
  [SPLIT_WALKER, 'if (inTable) return this.fail("indirect-nested", index);', ""],
  [SPLIT_WALKER, 'if ((flags & VIRTQ_DESC_F_NEXT) !== 0) return this.fail("indirect-next", index);', ""],
  [SPLIT_WALKER, 'if (left === 0) return this.fail("chain-too-long", this.size);', ""],
  [SPLIT_WALKER, 'if (index >= entries) return this.fail("next-out-of-range", index);', ""],
  [SPLIT_WALKER, "if (index >= Math.min(entries, MAX_TABLE_ENTRIES)) break;", ""],
  [
    SPLIT_USED,
    "Atomics.store(usedRegion.u16, usedHalf + 1, this.position);",
    "usedRegion.u16[usedHalf + 1] = this.position;",
  ],
  [SPLIT_USED, "      book[head] = turn;\n", "      book[head] = 0;\n"],
  [SPLIT_USED, "      if ((book[head] | 0) >= 0) break;\n", ""],
  [SPLIT_USED, "    usedRegion.refresh();\n", ""],
  [SPLIT_USED, "(this.position - from) & 0xffff", "this.position & 0xffff"],
  [SPLIT_USED, "    this.unpublished = 0;\n", ""],
  [SPLIT_USED, "if (this.ring.usedRegion.tracker !== null) this.track(entries);", ""],
  [SPLIT_USED, "if (usedRegion.tracker !== null) usedRegion.tracker.written(2 * (usedHalf + 1), 2);", ""],
  [SPLIT_USED, "if (entries > straight) usedRegion.tracker?.written(base + 4, 8 * (entries - straight));", ""],
  [SPLIT_EVENTS, "if (this.eventIdx) return needsEvent(", "if (true) return needsEvent("],
  [SPLIT_EVENTS, "return (Atomics.load(region.u16, flags) & F_SUPPRESS) === 0;", "return true;"],
  [SPLIT_EVENTS, "else this.write(this.own.flags, F_SUPPRESS);", "this.write(this.own.flags, F_SUPPRESS);"],
  [SPLIT_EVENTS, "if (this.eventIdx) this.write(this.own.event, position - 1);", "if (this.eventIdx) {}"],
  [SPLIT_EVENTS, "if (this.enabled) this.write(this.own.event", "if (true) this.write(this.own.event"],
  [SPLIT_EVENTS, "else if (this.isNear(position)) this.disable(position);", ""],
  [SPLIT_EVENTS, "> 0x8000", "> 0xffff"],
  [SPLIT_EVENTS, "    if (!this.eventIdx) return;\n", ""],
  [SPLIT_EVENTS, "    region.refresh();\n", ""],
  [SPLIT_EVENTS, "    region.tracker?.written(2 * half, 2);\n", ""],

  // The packed ring, device side.
  [PACKED_AVAILABLE, "if (this.holdings.entries < this.ring.size) return", "if (true) return"],
  [PACKED_AVAILABLE, "size - holdings.entries)) return false;", "size)) return false;"],
  [PACKED_AVAILABLE, 'if (id >= size) return walker.fail("id-out-of-range", id);', ""],
  [PACKED_AVAILABLE, "if (!holdings.isFree(id)) return", "if (false) return"],
  [PACKED_AVAILABLE, "    this.next -= this.ring.size;\n    this.wrap ^= 1;", "    this.next -= this.ring.size;"],
  [PACKED_AVAILABLE, "    this.next += this.ring.size;\n    this.wrap ^= 1;", "    this.next += this.ring.size;"],
  [PACKED_AVAILABLE, "if ((flags & OWNER) !== expected) break;", ""],
  [PACKED_AVAILABLE, "if (count === max) break;", ""],
  [PACKED_AVAILABLE, "(ring[at] & SINGLE) === expected", "true"],
  [PACKED_AVAILABLE, "Math.min(end, from + 8", "Math.max(end, from + 8"],
  [PACKED_AVAILABLE, "count === max ? 0 : (left - count) | 0", "(left - count) | 0"],
  [PACKED_AVAILABLE, "if (count > 1) fenceLoads();", ""],
  [PACKED_SINGLES, "id >= size || book[id] >= turn) break;", "id >= size) break;"],
  [PACKED_SINGLES, "id >= size || book[id] >= turn) break;", "book[id] >= turn) break;"],
  [PACKED_SINGLES, "(VIRTQ_DESC_F_NEXT | V", "(V"],
  [PACKED_SINGLES, "VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_INDIRECT)", "VIRTQ_DESC_F_WRITE)"],
  [PACKED_SINGLES, ", size - holdings.entries)", ")"],
  [PACKED_SINGLES, "let at = burst.first[chain] & INDEX", "let at = chain & INDEX"],
  [PACKED_SINGLES, "if (word === tableEnd) word = ringWord;", ""],
  [PACKED_CHAINS, "if (id >= size || book[id] >= turn) break;", "if (id >= size) break;"],
  [PACKED_CHAINS, "if (id >= size || book[id] >= turn) break;", "if (book[id] >= turn) break;"],
  [PACKED_CHAINS, "if (word === wrapAt) word = ringWord;", ""],
  [PACKED_CHAINS, "(flags & F_INDIRECT) !== 0 && tableEnd < 0", "(flags & F_INDIRECT) !== 0"],
  [PACKED_CHAINS, "if (headWord >= ringEnd) headWord = (headWord - (size << 2)) & INDEX;", ""],
  [PACKED_CHAINS, "if (tableEnd < 0) id = flags & 0xffff;", "id = flags & 0xffff;"],
  [PACKED_CHAINS, "tables === 0 || ", ""],
  [PACKED_CHAINS, "end !== at || ", ""],
  [PACKED_CHAINS, "|| (flags & F_NEXT) !== 0) break chains;", ") break chains;"],
  [PACKED_CHAINS, "|| length >>> 4 > size) break chains;", ") break chains;"],
  [PACKED_CHAINS, "    left = (left - entries) & INDEX;\n", ""],
  [PACKED_WALKER, "if (this.descriptors > 1 || (flags & F_NEXT) !== 0) return", "if (this.descriptors > 1) return"],
  [PACKED_WALKER, "if (this.descriptors > 1 || (flags & F_NEXT) !== 0) return", "if ((flags & F_NEXT) !== 0) return"],
  [PACKED_WALKER, 'if (this.descriptors === room) return this.fail("chain-too-long", room);', ""],
  [PACKED_WALKER, 'if (entries > this.size) return this.fail("chain-too-long", entries);', ""],
  [PACKED_WALKER, "index = index + 1 === this.size ? 0 : index + 1;", "index = index + 1;"],
  [PACKED_USED, "Atomics.store(region.u32, last, this.withheld);", "region.u32[last] = this.withheld;"],
  [PACKED_USED, "    if (from === to) return to;\n", ""],
  [PACKED_USED, "    if (!holdings.isHeld(head)) return from;\n", ""],
  [PACKED_USED, "    holdings.release(head);\n", ""],
  [PACKED_USED, "    else region.u32[at + 3] = last;", "    region.u32[at + 3] = last;"],
  [PACKED_USED, "(written === 0 ? 0 : F_WRITE);", "F_WRITE;"],
  [PACKED_USED, "      laps = lap;\n", ""],
  [PACKED_USED, "      owner ^= OWNER;\n", ""],
  [PACKED_USED, "      book[head] = turn;\n", "      book[head] = 0;\n"],
  [PACKED_USED, "      if (mark >= 0) break;\n", ""],
  [PACKED_USED, "    region.refresh();\n", ""],
  [PACKED_USED, "first < 0 ? first + size : first", "first"],
  [PACKED_USED, "    this.unpublished = 0;\n", ""],
  [PACKED_USED, "if (region.tracker !== null) region.tracker.written(4 * last, 4);", ""],
  [PACKED_USED, "if (this.ring.region.tracker !== null) this.track(entries);", ""],
  [PACKED_USED, "if (entries > straight) region.tracker?.written(4 * word, 16 * (entries - straight));", ""],
  [PACKED_EVENTS, "return flagsOf(event) !== RING_EVENT_FLAGS_DISABLE;", "return true;"],
  [PACKED_EVENTS, "return this.eventIdx && flagsOf(event)", "return flagsOf(event)"],
  [PACKED_EVENTS, "return this.namesDescriptor(event) && ", "return "],
  [PACKED_EVENTS, "if (this.byDescriptor) this.write(", "if (false) this.write("],
  [PACKED_EVENTS, "    region.tracker?.written(4 * word, 4);\n", ""],

  // The driver's half.
  [DRIVER, "if (entries > shadow.free) return QUEUE_FULL;", ""],
  [DRIVER, "if (shadow.free === 0) return QUEUE_FULL;", ""],
  [DRIVER, "if (count > this.maxChain)", "if (false)"],
  [DRIVER, "    this.events.follow(this.usedPosition);", ""],
  [DRIVER, "    return this.hasUsed();", "    return false;"],
  [DRIVER, "    this.onFault?.(fault);", ""],
  [SHADOW, 'if (id >= this.size) return this.refuse("id-out-of-range");', ""],
  [DRIVER, "address >>> 0 !== address || ", ""],
  [DRIVER, "bytes !== length || ", ""],
  [DRIVER, " || bytes === 0)", ")"],
  [DRIVER, "Math.min(elements.writableBytes, MAX_LENGTH)", "elements.writableBytes"],
  [DRIVER, "Math.min(writableBytes, MAX_LENGTH)", "writableBytes"],
  [DRIVER, "free[(i + 1) % free.length]", "free[i]"],
  [SHADOW, 'return this.book[id << SHIFT] !== 0 || this.refuse("id-not-outstanding");', "return true;"],
  [SHADOW, 'return (age - 1) >>> 0 >= this.added || this.refuse("id-not-outstanding");', "return true;"],
  [SHADOW, "if (this.legacy) return this.writable(id);", "return this.writable(id);"],
  [SHADOW, "if (this.legacy) return this.writable(id);", ""],
  [SHADOW, "return (length ^ SIGN) <= this.book[((id << SHIFT) + WRITABLE) | 0];", "return true;"],
  [SHADOW, "const SIGN = 0x8000_0000;", "const SIGN = 0;"],
  [SHADOW, 'if (batch > most) this.refuse("id-not-outstanding");\n    else this.batchLeft', "this.batchLeft"],
  [SHADOW, "this.batchLeft === 0 ? this.batchLength : ", ""],
  [SPLIT_DRIVER, "if (ready <= given) return ready;", "return ready;"],
  [
    SPLIT_DRIVER,
    "    Atomics.store(this.ring.availRegion.u16, this.ring.availHalf + 1, this.nextAvail);",
    "this.ring.availRegion.u16[this.ring.availHalf + 1] = this.nextAvail;",
  ],
  [SPLIT_DRIVER, "this.memory.fill(deviceArea, splitUsedBytes(size));", ""],
  [SPLIT_DRIVER, "shadow.setLink(this.lastOf(id, count), firstFree);", "shadow.setLink(id, firstFree);"],
  [PACKED_DRIVER, "waitsFor(this.usedPosition, this.size - 1)", "waitsFor(this.usedPosition, this.shadow.free)"],
  [PACKED_DRIVER, "this.shadow.outstanding > 0 && this.events", "this.events"],
  [SPLIT_DRIVER, "!shadow.has(id) || !(allTold || shadow.isTold(id))", "!shadow.has(id)"],
  [SPLIT_DRIVER, "const allTold = shadow.added === 0;", "const allTold = true;"],
  [PACKED_DRIVER, "!shadow.has(id) || !(allTold || shadow.isTold(id))", "!shadow.has(id)"],
  [PACKED_DRIVER, "const allTold = shadow.added === 0;", "const allTold = true;"],
  [PACKED_DRIVER, "shadow.cut(id, (last & MEANT) !== 0)", "shadow.cut(id, true)"],
  [PACKED_DRIVER, "if (!shadow.holds(id, length)) {", "if (!shadow.holds(id, length) || (last & MEANT) === 0) {"],
  [PACKED_DRIVER, "this.usedMeant = (last & MEANT) !== 0;", ""],
  [SHADOW, "if (!meant) return 0;", ""],
  [PACKED_DRIVER, "this.shadow.outstanding > 0 && ", ""],
  [
    PACKED_DRIVER,
    "    Atomics.store(this.region.u32, this.withheldWord, this.withheld);",
    "this.region.u32[this.withheldWord] = this.withheld;",
  ],
  [PACKED_DRIVER, "    this.withheld = last;\n", "    this.withheld = last;\n    ring[at] = last;\n"],
  [PACKED_DRIVER, "this.memory.fill(descriptorArea, packedRingBytes(size));", ""],
  [PACKED_DRIVER, "    this.nextUsed -= this.size;\n    this.usedWrap ^= 1;", "    this.nextUsed -= this.size;"],
  [PACKED_DRIVER, "      if (next >= size) next = (next - size) | 0;\n", ""],
  [PACKED_DRIVER, "count === 1 ? next + 1 : next + count", "next + 1"],
  [PACKED_DRIVER, "    this.availability ^= OWNER;\n", ""],
  [PACKED_USED_BUFFERS, "const { single } = shadow;", "const single = true;"],
  [PACKED_USED_BUFFERS, "if (((last ^ expected) & OWNER) !== 0) break;", ""],
  [PACKED_USED_BUFFERS, "    next = (next - size) | 0;\n", ""],
  [PACKED_DRIVER, "if (count > 1) fenceLoads();", ""],
  [PACKED_DRIVER, 'if (given === 0) return this.failUsed("id-not-outstanding");', ""],
  [PACKED_USED_BUFFERS, "    expected ^= OWNER;\n", ""],
  [ELEMENTS, "if (this.bytes + length > MAX_CHAIN_BYTES) {", "if (false) {"],
  [ELEMENTS, "if (this.readables < this.count) {", "if (false) {"],
  [ELEMENTS, "length < 1 || length > MAX_LENGTH", "length > MAX_LENGTH"],
  [ELEMENTS, "!Number.isSafeInteger(address) || address < 0", "!Number.isSafeInteger(address)"],

  // Set-up.
  [AREAS, "if (address % alignment !== 0) {", "if (false) {"],
  [AREAS, "if (index < 0) throw", "if (false) throw"],
  [AREAS, "a.address < b.address + b.length && b.address < a.address + a.length", "false"],
  [SPLIT_LAYOUT, "|| (size & (size - 1)) !== 0", ""],
  [SPLIT_LAYOUT, "size > MAX_QUEUE_SIZE", "size > 65536"],
  [PACKED_LAYOUT, "size > MAX_QUEUE_SIZE", "size > 65536"],
  [SPLIT_LAYOUT, "((newIndex - event - 1) & 0xffff) <", "((newIndex - event - 1) & 0xffff) <="],
  [
    PACKED_LAYOUT,
    "return at < position && at >= position - count;",
    "return at <= position && at >= position - count;",
  ],
  [PACKED_LAYOUT, "return at < position && at >= position - count;", "return at < position && at > position - count;"],
  [PACKED_LAYOUT, "if (event >>> 15 !== wrap) at -= size;", ""],
  [PACKED_LAYOUT, "if (at >= size) return false;", ""],

  // Copies.
  [
    BURST,
    "Math.min(length, this.readableBytes[i] - from, target.length - targetOffset)",
    "Math.min(length, target.length - targetOffset)",
  ],
  [
    BURST,
    "Math.min(length, this.writableBytes[i] - at, source.length - sourceOffset)",
    "Math.min(length, source.length - sourceOffset)",
  ],
  [BURST, "for (let s = this.writable[i]; done < most; s++) {", "for (let s = this.first[i]; done < most; s++) {"],
  [BURST, "if (region.u8.length === 0) region.refresh();", ""],
  [
    CURSOR,
    "this.place(burst, burst.first[i], burst.readableBytes[i]);",
    "this.place(burst, burst.first[i], burst.readableBytes[i] + burst.writableBytes[i]);",
  ],
  [
    CURSOR,
    "this.place(burst, burst.writable[i], burst.writableBytes[i]);",
    "this.place(burst, burst.first[i], burst.writableBytes[i]);",
  ],
  [CURSOR, "    this.remaining = most;\n", ""],

  // States to restore.
  [RESTORE, "check(((nextAvail - nextUsed) & 0xffff) === outstanding.length,", "check(true,"],
  [RESTORE, "check(ahead === entries,", "check(true,"],
  [RESTORE, "isInteger(head, 0, size - 1) && !heads.has(head)", "isInteger(head, 0, size - 1)"],
  [RESTORE, "isInteger(head, 0, size - 1) && !heads.has(head)", "!heads.has(head)"],
  [RESTORE, "check(written === null || waits,", "check(true,"],
  [RESTORE, "inOrder === true && isInteger(written,", "isInteger(written,"],
  [RESTORE, "check(isInteger(entries, 0, size - entriesOf(state)),", "check(true,"],
  [RESTORE, "check(isInteger(given.length, Math.min(entries, 1), entries),", "check(true,"],
  [RESTORE, "check(given === unpublished.entries,", "check(true,"],
  [RESTORE, "check(isInteger(head, 0, size - 1) && !heads.has(head), `unpublished", "check(true, `unpublished"],
  [RESTORE, "check(isInteger(withheld, -0x8000_0000, 0xffff_ffff),", "check(true,"],
  [RESTORE, "check(state.size === size,", "check(true,"],
  [RESTORE, "check(state.format === format,", "check(true,"],
  [RESTORE, "check(isInteger(writableBytes, 0, MAX_CHAIN_BYTES),", "check(true,"],
  [DRIVER_RESTORE, "check(descriptors[0] === head,", "check(true,"],
  [DRIVER_RESTORE, "check(all.length <= size && new Set(all).size === all.length,", "check(true,"],
  [DRIVER_RESTORE, "check(isInteger(descriptor, 0, size - 1),", "check(true,"],
  [DRIVER_RESTORE, "check(ahead === entries && entries <= size,", "check(true,"],
  [DRIVER_RESTORE, "check(isInteger(batch.left, 0, outstanding.length),", "check(true,"],
  [DRIVER_RESTORE, "check(isInteger(batch.length, 0, last),", "check(true,"],
  [DRIVER_RESTORE, "descriptor === (nextDescriptor - all.length + i + size) % size,", "true,"],
];
