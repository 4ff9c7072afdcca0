/**
 * A burst of Ethernet frames that crosses a link: one structure of arrays, made once and reused, so that handing over a
 * frame allocates nothing. A frame is a list of segments, each a range of borrowed bytes (guest memory, a socket's
 * buffer): frames are passed on as views, not copied.
 * @module
 */

import { GSO_NONE } from "../offload/offload.ts";

/**
 * Frames handed from one end of a link to the other. Frame `i` has the segments `first[i] .. first[i + 1] - 1`.
 *
 * The bytes behind the segments belong to the sender of the burst. They are valid only until the call that hands over
 * the burst returns: to keep a frame, copy it ({@link FrameBurst.copyFrame}).
 */
export class FrameBurst {
  /** Frames in the burst. */
  count = 0;
  /** Segments in the burst, those of an unfinished frame included. */
  segments = 0;
  /** First segment of each frame; `first[count]` is the end of the last. */
  first!: Uint32Array;
  /** Length of each frame, bytes. */
  lengths!: Uint32Array;
  /** `HDR_F_*` of each frame. */
  flags!: Uint8Array;
  /** `GSO_*` of each frame. */
  gsoType!: Uint8Array;
  /** Bytes of Ethernet, IP and TCP header of each frame to be segmented (a hint: check it). */
  hdrLen!: Uint16Array;
  /** Payload bytes of each segment of a frame to be segmented. */
  gsoSize!: Uint16Array;
  /** Where the checksum that is still to be done starts, bytes from the start of the frame. */
  csumStart!: Uint16Array;
  /** Where that checksum is stored, bytes from `csumStart`. */
  csumOffset!: Uint16Array;
  /** The bytes each segment lies in. */
  views!: Uint8Array[];
  /** Where each segment starts in its view. */
  offsets!: Uint32Array;
  /** Length of each segment, bytes. */
  segmentLengths!: Uint32Array;
  /** From this index on, views that the current burst does not use are {@link EMPTY}. */
  #written = 0;
  /** Frames that {@link release} keeps room for. */
  readonly #keptFrames: number;
  readonly #keptSegments: number;

  /**
   * @param frames initial capacity in frames; the burst grows as needed
   * @param segments initial capacity in segments; the burst grows as needed
   */
  constructor(frames = 64, segments: number = frames * 4) {
    this.#keptFrames = Math.max(frames, KEPT_FRAMES);
    this.#keptSegments = Math.max(segments, KEPT_SEGMENTS);
    this.#makeFrames(frames);
    this.#makeSegments(segments);
  }

  /** Empties the burst. Views stay referenced until they are overwritten; see {@link release}. */
  clear(): void {
    this.#noteWritten();
    this.count = 0;
    this.segments = 0;
  }

  /**
   * Empties the burst and drops all its views, so that their memory can be freed. Shrinks arrays that an unusually
   * large burst has grown.
   */
  release(): void {
    this.clear();
    if (this.offsets.length > this.#keptSegments) this.#makeSegments(this.#keptSegments);
    else this.views.fill(EMPTY, 0, this.#written);
    if (this.lengths.length > this.#keptFrames) this.#makeFrames(this.#keptFrames);
    this.#written = 0;
  }

  /** Adds `length` bytes of `view` from `offset` to the frame being built. */
  addSegment(view: Uint8Array, offset: number, length: number): void {
    const i = this.segments;
    if (i === this.offsets.length) this.#growSegments();
    this.views[i] = view;
    this.offsets[i] = offset;
    this.segmentLengths[i] = length;
    this.segments = i + 1;
    if (this.count === this.lengths.length) this.#growFrames();
    this.lengths[this.count] = (i === this.first[this.count] ? 0 : this.lengths[this.count]) + length;
  }

  /** Ends the frame being built and sets its offloads; without arguments the frame is a plain one. */
  endFrame(flags = 0, gsoType: number = GSO_NONE, hdrLen = 0, gsoSize = 0, csumStart = 0, csumOffset = 0): void {
    const i = this.count;
    if (i === this.lengths.length) this.#growFrames();
    if (this.first[i] === this.segments) this.lengths[i] = 0;
    this.flags[i] = flags;
    this.gsoType[i] = gsoType;
    this.hdrLen[i] = hdrLen;
    this.gsoSize[i] = gsoSize;
    this.csumStart[i] = csumStart;
    this.csumOffset[i] = csumOffset;
    this.count = i + 1;
    this.first[i + 1] = this.segments;
  }

  /** Drops the segments of the frame being built. */
  abandonFrame(): void {
    this.#noteWritten();
    this.segments = this.first[this.count];
  }

  /** Adds a plain frame of one segment. */
  addFrame(view: Uint8Array, offset = 0, length: number = view.length - offset): void {
    this.addSegment(view, offset, length);
    this.endFrame();
  }

  /** Adds frame `i` of another burst, with its offloads, without copying its bytes. */
  addFrameOf(other: FrameBurst, i: number): void {
    for (let s = other.first[i]; s < other.first[i + 1]; s++) {
      this.addSegment(other.views[s], other.offsets[s], other.segmentLengths[s]);
    }
    this.endFrame(
      other.flags[i],
      other.gsoType[i],
      other.hdrLen[i],
      other.gsoSize[i],
      other.csumStart[i],
      other.csumOffset[i],
    );
  }

  /**
   * Adds `length` bytes of frame `i` of another burst, from its byte `from` on, to the frame being built,
   * without copying them. The range must lie inside that frame.
   */
  addRange(other: FrameBurst, i: number, from: number, length: number): void {
    let skip = from;
    let left = length;
    for (let s = other.first[i]; s < other.first[i + 1] && left > 0; s++) {
      const size = other.segmentLengths[s];
      if (skip >= size) {
        skip -= size;
        continue;
      }
      const n = Math.min(size - skip, left);
      this.addSegment(other.views[s], other.offsets[s] + skip, n);
      left -= n;
      skip = 0;
    }
  }

  /**
   * Copies bytes of frame `i` out.
   * @param from first byte of the frame to copy
   * @param length bytes to copy at most
   * @returns bytes copied: fewer than `length` if the frame ends first
   */
  copyFrame(i: number, from: number, target: Uint8Array, targetOffset: number, length: number): number {
    let skip = from;
    let left = length;
    let at = targetOffset;
    for (let s = this.first[i]; s < this.first[i + 1] && left > 0; s++) {
      const size = this.segmentLengths[s];
      if (skip >= size) {
        skip -= size;
        continue;
      }
      const n = Math.min(size - skip, left);
      const start = this.offsets[s] + skip;
      target.set(this.views[s].subarray(start, start + n), at);
      at += n;
      left -= n;
      skip = 0;
    }
    return length - left;
  }

  /** Called before segments are dropped: their views stay in the array. */
  #noteWritten(): void {
    if (this.segments > this.#written) this.#written = this.segments;
  }

  #makeFrames(n: number): void {
    this.first = new Uint32Array(n + 1);
    this.lengths = new Uint32Array(n);
    this.flags = new Uint8Array(n);
    this.gsoType = new Uint8Array(n);
    this.hdrLen = new Uint16Array(n);
    this.gsoSize = new Uint16Array(n);
    this.csumStart = new Uint16Array(n);
    this.csumOffset = new Uint16Array(n);
  }

  #makeSegments(n: number): void {
    this.views = new Array<Uint8Array>(n).fill(EMPTY);
    this.offsets = new Uint32Array(n);
    this.segmentLengths = new Uint32Array(n);
  }

  #growFrames(): void {
    const { first, lengths, flags, gsoType, hdrLen, gsoSize, csumStart, csumOffset } = this;
    this.#makeFrames(lengths.length * 2 || 1);
    this.first.set(first);
    this.lengths.set(lengths);
    this.flags.set(flags);
    this.gsoType.set(gsoType);
    this.hdrLen.set(hdrLen);
    this.gsoSize.set(gsoSize);
    this.csumStart.set(csumStart);
    this.csumOffset.set(csumOffset);
  }

  #growSegments(): void {
    const { views, offsets, segmentLengths } = this;
    this.#makeSegments(offsets.length * 2 || 1);
    for (let i = 0; i < views.length; i++) this.views[i] = views[i];
    this.offsets.set(offsets);
    this.segmentLengths.set(segmentLengths);
  }
}

const EMPTY = new Uint8Array(0);
/** Capacity that `release` keeps once it was needed: a burst of a NIC under Linux fits. */
const KEPT_FRAMES = 256;
const KEPT_SEGMENTS = 2048;
