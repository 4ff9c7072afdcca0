/**
 * The mutants: each breaks one check or one step of the queues. `[file, what is there, what is put there]`; where
 * that is found twice, each place is a mutant.
 * @module
 */

const SPLIT = "src/device/split-device-queue.ts";
const PACKED = "src/device/packed-device-queue.ts";
const WALKER = "src/device/chain-walker.ts";
const PACKED_WALKER = "src/device/packed-walker.ts";
const PLACER = "src/device/placer.ts";
const WINDOWS = "src/device/windows.ts";
const SINGLES = "src/device/singles.ts";
const RESTORE = "src/device/restore.ts";
const SPLIT_DRIVER = "src/driver/split-driver-queue.ts";
const PACKED_DRIVER = "src/driver/packed-driver-queue.ts";
const ELEMENTS = "src/driver/buffer-elements.ts";
const DRIVER_RESTORE = "src/driver/restore.ts";
const BURST = "src/chain-burst.ts";
const CURSOR = "src/chain-cursor.ts";
const AREAS = "src/layout/areas.ts";
const SPLIT_LAYOUT = "src/layout/split.ts";
const PACKED_LAYOUT = "src/layout/packed.ts";

export const mutants = [
  // The split ring, device side.
  [SPLIT, "if (ready > this.size) return", "if (false) return"],
  [SPLIT, "if (ready > this.size) return", "if (ready >= this.size) return"],
  [SPLIT, "if (head >= size) {", "if (false) {"],
  [SPLIT, "      if (marks[head] !== FREE) {", "      if (false) {"],
  [SPLIT, "if (head >= size || book[head] !== FREE) break;", "if (head >= size) break;"],
  [SPLIT, "if (head >= size || book[head] !== FREE) break;", "if (book[head] !== FREE) break;"],
  [SPLIT, "!== direction || length === 0) break;", "!== direction) break;"],
  [SPLIT, "(flags & (F_NEXT | F_WRITE | F_INDIRECT)) !== direction", "(flags & (F_WRITE | F_INDIRECT)) !== direction"],
  [SPLIT, "(flags & (F_NEXT | F_WRITE | F_INDIRECT)) !== direction", "(flags & (F_NEXT | F_WRITE)) !== direction"],
  [SPLIT, "(flags & (F_NEXT | F_WRITE | F_INDIRECT)) !== direction", "(flags & (F_NEXT | F_INDIRECT)) !== 0"],
  [SPLIT, "if (high !== highB || offset > lastB || length > (lastB - offset) >>> 0) break;", ""],
  [
    SPLIT,
    "high === highA && offset <= lastA && length <= (lastA - offset) >>> 0",
    "offset <= lastA && length <= (lastA - offset) >>> 0",
  ],
  [SPLIT, "high === highA && offset <= lastA && length <= (lastA - offset) >>> 0", "high === highA && offset <= lastA"],
  [
    SPLIT,
    "high === highA && offset <= lastA && length <= (lastA - offset) >>> 0",
    "high === highA && length <= (lastA - offset) >>> 0",
  ],
  [SPLIT, "book[head] = TAKEN;", ""],
  [SPLIT, "walker.steps < BURST_DESCRIPTORS", "true"],
  [SPLIT, "      if (marks[head] !== TAKEN) break;\n      marks[head] = FREE;", "      marks[head] = FREE;"],
  [SPLIT, "if (done < count) this.fail(", "if (false) this.fail("],
  [SPLIT, "const most = Math.min(count, this.known);", "const most = count;"],
  [SPLIT, "    if (marks[head] !== TAKEN) {\n", "    if (false) {\n"],
  [
    SPLIT,
    "    if (this.stagedCount === 0 || this.stopped) return false;",
    "    if (this.stagedCount === 0) return false;",
  ],
  [
    SPLIT,
    "    Atomics.store(this.usedRegion.u16, this.usedHalf + 1, index);",
    "    this.usedRegion.u16[this.usedHalf + 1] = index;",
  ],
  [SPLIT, "      marks[head] = FREE;\n    }\n    return count;", "    }\n    return count;"],
  [SPLIT, "if (this.eventIdx && this.notifications) this.askForEvent();", ""],
  [SPLIT, "if (this.eventIdx) return needsEvent(", "if (true) return needsEvent("],
  [SPLIT, "return (Atomics.load(avail, this.availHalf) & VIRTQ_AVAIL_F_NO_INTERRUPT) === 0;", "return true;"],
  [
    SPLIT,
    "if (!this.eventIdx) this.writeUsedHalf(0, VIRTQ_USED_F_NO_NOTIFY);",
    "this.writeUsedHalf(0, VIRTQ_USED_F_NO_NOTIFY);",
  ],
  [SPLIT, "    return this.hasAvailable();", "    return false;"],
  [SPLIT, "if (!last && written[head] === writable[head]) continue;", "if (!last) continue;"],
  [SPLIT, "if (!last && written[head] === writable[head]) continue;", ""],
  [SPLIT, "while (index !== nextAvail && marks[order[index & mask]] === STAGED) {", "while (index !== nextAvail) {"],
  [SPLIT, "if (this.usedRegion.tracker !== null) this.track(old, count);", ""],
  [SPLIT, "if (count > straight) tracker.written(base + 4, 8 * (count - straight));", ""],
  [SPLIT, "    this.onFault?.(fault);", ""],
  [
    SPLIT,
    "  flush(): boolean {\n    if (this.stagedCount === 0 || this.stopped) return false;\n    this.memory.refresh();",
    "  flush(): boolean {\n    if (this.stagedCount === 0 || this.stopped) return false;",
  ],
  [
    SPLIT,
    "return this.fault === null ? QUEUE_EMPTY : QUEUE_MALFORMED;\n    this.memory.refresh();",
    "return this.fault === null ? QUEUE_EMPTY : QUEUE_MALFORMED;",
  ],
  [SPLIT, "this.known = this.inOrder ? outstanding.length : rewindable;", "this.known = outstanding.length;"],

  // The walk of a chain.
  [WALKER, 'if (inTable) return this.fail("indirect-nested", index);', ""],
  [WALKER, 'if ((flags & F_NEXT) !== 0) return this.fail("indirect-next", index);', ""],
  [WALKER, 'if (left === 0) return this.fail("chain-too-long", maxChain);', ""],
  [WALKER, 'if (direction !== 0) return this.fail("order", index);', ""],
  [WALKER, "const stop = Math.min(lengths.length, at + left);", "const stop = lengths.length;"],
  [
    WALKER,
    "(flags & (F_WRITE | F_INDIRECT)) !== direction || length === 0",
    "(flags & F_WRITE) !== direction || length === 0",
  ],
  [WALKER, "if (index >= entries) break;", ""],
  [
    WALKER,
    'if (!more) break;\n      if (index >= entries) return this.fail("next-out-of-range", index);',
    "if (!more) break;",
  ],
  [
    WALKER,
    'if ((flags & F_NEXT) === 0) break;\n      index = flags >>> 16;\n      if (index >= entries) return this.fail("next-out-of-range", index);',
    "if ((flags & F_NEXT) === 0) break;\n      index = flags >>> 16;",
  ],
  [WALKER, "if (bytes > MAX_CHAIN_BYTES)", "if (false)"],
  [WALKER, "if (bytes > MAX_CHAIN_BYTES)", "if (bytes >= MAX_CHAIN_BYTES)"],
  [WALKER, "this.steps += maxChain - left;", ""],
  [WALKER, 'if (!this.indirect) return this.refuse("indirect-unexpected", address);', ""],
  [WALKER, "if (length === 0 || length % DESCRIPTOR_SIZE !== 0)", "if (length % DESCRIPTOR_SIZE !== 0)"],
  [WALKER, "if (length === 0 || length % DESCRIPTOR_SIZE !== 0)", "if (length === 0)"],
  [WALKER, "if (index >= 0 && address % 4 === 0) {", "if (index >= 0) {"],
  [WALKER, 'if (!this.memory.contains(address, length)) return this.refuse("indirect-out-of-range", address);', ""],
  [WALKER, "if (index >= entries) break;\n      words", "words"],
  [WALKER, "if (chain < burst.plain) burst.plain = chain;", ""],
  [WALKER, "    if (writable < 0) readableBytes = bytes;", ""],
  [WALKER, "if (high !== highB || offset > lastB || length > (lastB - offset) >>> 0) break;", ""],

  // Finding buffers.
  [PLACER, 'if (index < 0) return this.fail("buffer-out-of-range", address);', "if (index < 0) return at;"],
  [PLACER, "const part = Math.min(left, region.end - start);", "const part = left;"],
  [WINDOWS, "high === words[w + WINDOW_HIGH] && offset <= last", "offset <= last"],
  [WINDOWS, "length - 1 <= (last - offset) >>> 0", "length - 2 <= (last - offset) >>> 0"],
  [WINDOWS, "end - start - 1, index", "end - start, index"],
  [SINGLES, "burst.plainDirection === direction ? burst.plain : 0", "burst.plain"],

  // The packed ring, device side.
  [PACKED, "if (this.heldDescriptors === this.size) {", "if (false) {"],
  [PACKED, 'walker.fail("id-out-of-range", id);\n        break;', ""],
  [PACKED, 'walker.fail("head-outstanding", id);\n        break;', ""],
  [PACKED, "length === 0 || id >= size || book[id] !== FREE) break;", "length === 0 || id >= size) break;"],
  [PACKED, "length === 0 || id >= size || book[id] !== FREE) break;", "length === 0 || book[id] !== FREE) break;"],
  [PACKED, "length === 0 || id >= size || book[id] !== FREE) break;", "id >= size || book[id] !== FREE) break;"],
  [
    PACKED,
    "const watched = (F_AVAIL | F_USED | F_NEXT | F_WRITE | F_INDIRECT) << 16;",
    "const watched = (F_AVAIL | F_USED | F_WRITE | F_INDIRECT) << 16;",
  ],
  [
    PACKED,
    "const watched = (F_AVAIL | F_USED | F_NEXT | F_WRITE | F_INDIRECT) << 16;",
    "const watched = (F_AVAIL | F_USED | F_NEXT | F_WRITE) << 16;",
  ],
  [PACKED, "const room = size - this.heldDescriptors;", "const room = size;"],
  [PACKED, "const most = chain + Math.min(count, size - this.heldDescriptors);", "const most = chain + count;"],
  [PACKED, "if ((flags & (F_AVAIL | F_USED)) !== expected) break;", ""],
  [PACKED, "if (count > 1) Atomics.load(ring, base + 8 * last);", ""],
  [
    PACKED,
    "    Atomics.store(this.ringRegion.u16, this.firstUsed, this.firstFlags);",
    "    this.ringRegion.u16[this.firstUsed] = this.firstFlags;",
  ],
  [
    PACKED,
    "      this.firstUsed = 2 * word + 7;\n      this.firstFlags = flags;",
    "      this.firstUsed = 2 * word + 7;\n      this.firstFlags = flags;\n      this.ringRegion.u16[2 * word + 7] = flags;",
  ],
  [PACKED, "(length === 0 ? 0 : F_WRITE);", "F_WRITE;"],
  [
    PACKED,
    "    if (next >= this.size) {\n      next -= this.size;\n      this.usedWrap ^= 1;\n    }",
    "    if (next >= this.size) {\n      next -= this.size;\n    }",
  ],
  [PACKED, "      this.nextAvail -= this.size;\n      this.availWrap ^= 1;", "      this.nextAvail -= this.size;"],
  [PACKED, "        position += size;\n        this.availWrap ^= 1;", "        position += size;"],
  [PACKED, "if (flags === RING_EVENT_FLAGS_DISABLE) return false;", ""],
  [
    PACKED,
    "if (flags !== RING_EVENT_FLAGS_DESC || !this.eventIdx) return true;",
    "if (flags !== RING_EVENT_FLAGS_DESC) return true;",
  ],
  [PACKED, "if (this.eventByDescriptor) this.askForEvent();", ""],
  [PACKED, "    return this.hasAvailable();", "    return false;"],
  [PACKED, "if (!last && written[id] === writable[id]) continue;", "if (!last) continue;"],
  [PACKED, "if (!last && written[id] === writable[id]) continue;", ""],
  [PACKED, "while (count < held && marks[order[at]] === STAGED) {", "while (count < held) {"],
  [PACKED, "    if (marks[id] !== TAKEN) {\n", "    if (false) {\n"],
  [PACKED, "if (done < count) this.fail(", "if (false) this.fail("],
  [PACKED, "    this.onFault?.(fault);", ""],
  [PACKED_WALKER, 'if ((flags & F_NEXT) !== 0) return this.fail("indirect-next", index);', ""],
  [PACKED_WALKER, 'if (entries > this.size) return this.fail("chain-too-long", entries);', ""],
  [PACKED_WALKER, 'if (left === 0) return this.fail("chain-too-long", most);', "if (left === 0) break;"],
  [PACKED_WALKER, "const indirectFlag = nextFlag === 0 ? 0 : F_INDIRECT;", "const indirectFlag = F_INDIRECT;"],
  [PACKED_WALKER, 'if ((flags & indirectFlag) !== 0) return this.fail("indirect-next", index);', ""],
  [PACKED_WALKER, 'if (direction !== 0) return this.fail("order", index);', ""],
  [PACKED_WALKER, "if (index === wrap) index = 0;", ""],
  [PACKED_WALKER, "if (bytes > MAX_CHAIN_BYTES)", "if (bytes > 100)"],
  [PACKED_WALKER, 'if (!this.indirect) return this.refuse("indirect-unexpected", address);', ""],
  [PACKED_WALKER, "if (length === 0 || length % DESCRIPTOR_SIZE !== 0)", "if (length % DESCRIPTOR_SIZE !== 0)"],
  [PACKED_WALKER, "if (length === 0 || length % DESCRIPTOR_SIZE !== 0)", "if (length === 0)"],
  [
    PACKED_WALKER,
    'if (!this.memory.contains(address, length)) return this.refuse("indirect-out-of-range", address);',
    "",
  ],
  [PACKED_WALKER, "if (index >= 0 && address % 4 === 0) {", "if (index >= 0) {"],
  [PACKED_WALKER, "    this.id = last & 0xffff;", "    this.id = table[base + 3] & 0xffff;"],

  // The driver's half.
  [SPLIT_DRIVER, "if (ready > given) return", "if (false) return"],
  [
    SPLIT_DRIVER,
    "if (id >= size || counts[id] === 0 || !this.isPublished(id)) return this.refuse(i, id, length);",
    "if (counts[id] === 0 || !this.isPublished(id)) return this.refuse(i, id, length);",
  ],
  [
    SPLIT_DRIVER,
    "if (id >= size || counts[id] === 0 || !this.isPublished(id)) return this.refuse(i, id, length);",
    "if (id >= size || counts[id] === 0) return this.refuse(i, id, length);",
  ],
  [
    SPLIT_DRIVER,
    "if (id >= size || counts[id] === 0 || !this.isPublished(id)) return this.refuse(i, id, length);",
    "if (id >= size) return this.refuse(i, id, length);",
  ],
  [SPLIT_DRIVER, "if (!this.legacy) return this.refuse(i, id, length);", ""],
  [SPLIT_DRIVER, "        length = writable[id];", ""],
  [SPLIT_DRIVER, "if (batch > ready - taken) return this.refuse(taken, id, length);", ""],
  [SPLIT_DRIVER, "if (length > writable[id] && !this.legacy) return this.refuse(taken, id, length);", ""],
  [SPLIT_DRIVER, "if (count > this.free) return QUEUE_FULL;", ""],
  [SPLIT_DRIVER, "if (count > this.maxChain)", "if (false)"],
  [
    SPLIT_DRIVER,
    "    Atomics.store(this.availRegion.u16, this.availHalf + 1, index);",
    "    this.availRegion.u16[this.availHalf + 1] = index;",
  ],
  [SPLIT_DRIVER, "if (this.eventIdx) return needsEvent(", "if (true) return needsEvent("],
  [SPLIT_DRIVER, "if (this.eventIdx && this.notifications) this.askForEvent();", ""],
  [SPLIT_DRIVER, "    return this.hasUsed();", "    return false;"],
  [SPLIT_DRIVER, "    if (this.inOrder) return;\n    let last = head;", "    let last = head;"],
  [SPLIT_DRIVER, "this.memory.fill(deviceArea, splitUsedBytes(size));", ""],
  [
    SPLIT_DRIVER,
    "if (!this.eventIdx) this.writeAvailHalf(0, VIRTQ_AVAIL_F_NO_INTERRUPT);",
    "this.writeAvailHalf(0, VIRTQ_AVAIL_F_NO_INTERRUPT);",
  ],
  [
    PACKED_DRIVER,
    'if (id >= this.size) this.problem = "id-out-of-range";',
    'if (false) this.problem = "id-out-of-range";',
  ],
  [PACKED_DRIVER, "this.counts[id] === 0 || !this.isPublished(id)", "this.counts[id] === 0"],
  [PACKED_DRIVER, "this.counts[id] === 0 || !this.isPublished(id)", "!this.isPublished(id)"],
  [PACKED_DRIVER, "else if (length > this.writable[id] && !this.legacy)", "else if (false)"],
  [PACKED_DRIVER, "used.lengths[at] = Math.min(length, this.writable[id]);", "used.lengths[at] = length;"],
  [PACKED_DRIVER, "return (idFlags & (F_WRITE << 16)) === 0 ? 0 : length;", "return length;"],
  [PACKED_DRIVER, "if (count > this.free) return QUEUE_FULL;", ""],
  [
    PACKED_DRIVER,
    "    Atomics.store(this.ringRegion.u16, this.withheldAt, this.withheld);",
    "    this.ringRegion.u16[this.withheldAt] = this.withheld;",
  ],
  [
    PACKED_DRIVER,
    "    this.withheld = flags;",
    "    this.withheld = flags;\n    this.ringRegion.u16[this.withheldAt] = flags;",
  ],
  [PACKED_DRIVER, "if (flags === RING_EVENT_FLAGS_DISABLE) return false;", ""],
  [PACKED_DRIVER, "if (this.eventByDescriptor) this.askForEvent();", ""],
  [PACKED_DRIVER, "    return this.hasUsed();", "    return false;"],
  [PACKED_DRIVER, "this.memory.fill(descriptorArea, packedRingBytes(size));", ""],
  [PACKED_DRIVER, "      next -= this.size;\n      this.usedWrap ^= 1;", "      next -= this.size;"],
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
  [BURST, "if (region.tracker !== null) region.tracker.written(offset, part);", ""],
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
  [RESTORE, "check(ahead === descriptors && descriptors <= size,", "check(true,"],
  [RESTORE, "isInteger(head, 0, size - 1) && !heads.has(head)", "isInteger(head, 0, size - 1)"],
  [RESTORE, "isInteger(head, 0, size - 1) && !heads.has(head)", "!heads.has(head)"],
  [RESTORE, "check(isInteger(rewindable, 0, outstanding.length),", "check(true,"],
  [RESTORE, "check(written === null || i < outstanding.length - rewindable,", "check(true,"],
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
