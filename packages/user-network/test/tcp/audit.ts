/**
 * What a TCP may send, and when, checked segment by segment as its peer sees it: written from RFC 9293, 6298, 5681 and
 * 7323, and knowing nothing of how the network decides. Numbers count from the first byte of data of each side.
 */
import { ACK, FIN, RST, SYN } from "../support/test-guest.ts";

/** A segment, whoever sent it. */
export interface AuditedSegment {
  sequence: number;
  acknowledged: number;
  flags: number;
  /** As it stands in the header. */
  window: number;
  /** Bytes of data. */
  length: number;
}

/** What a segment of the guest says, and when. */
interface Said {
  from: number;
  end: number;
  acknowledged: number;
  window: number;
  at: number;
  /** RCV.NXT at that time was this or more. */
  least: number;
}

/** RFC 6298, 2.4: nothing is sent again sooner. */
const MIN_TIMEOUT_MS = 1000;
const DUPLICATES = 3;

/** One connection between the network and a guest. */
export class TcpAudit {
  /**
   * An alarm of the network's clock has fired, or the guest's NIC has room again for data that an alarm could not send.
   */
  event: "alarm" | "room" | "other" = "other";
  /** Bytes the host has given for the guest, and whether it has ended. */
  given = 0;
  ended = false;
  /** An RST is in order: the connection was cut, or is forgotten. */
  mayReset = false;
  /** Segments seen from the network. */
  seen = 0;

  readonly #now: () => number;
  readonly #scale: number;
  readonly #networkScale: number;
  /** The sequence numbers of the two SYNs. */
  #guestSyn = -1;
  #networkSyn = -1;
  #synAt = 0;
  #synAgain = false;

  // What the network has sent.
  #una = 0;
  #next = 0;
  #finSent = false;
  /** When the timer began that lets something be sent again (RFC 6298, 5.1, 5.3, 5.6). */
  #timerFrom = 0;
  /** Retransmitted up to here since the last cause; `Infinity`: nothing may be retransmitted. */
  #repeated = Number.POSITIVE_INFINITY;
  /** Up to here data may be retransmitted. */
  #repeatTo = 0;
  #duplicateAcks = 0;
  #guestEdge = 0;
  #guestWindow = 0;
  #windowFrom = -1;
  #probedAt = Number.NEGATIVE_INFINITY;

  // What the guest has sent, as far as it got there.
  /** Up to here the network has got all (RCV.NXT): each segment it sends says so, and what came since is known. */
  #received = 0;
  /** RCV.NXT is this or more: less by one than `#received` when it isn't known whether the FIN was taken. */
  #least = 0;
  /** What came early, and may have been kept. */
  #early: [from: number, end: number][] = [];
  /** What the network keeps of early data is its own affair: until it says so, RCV.NXT may be larger. */
  #unsure = false;
  /** What counted only if RCV.NXT was not larger: a segment that brings nothing new is dropped, with its ACK. */
  #perhaps: Said[] = [];
  #guestNext = 0;
  /** The end of the guest's FIN; -1 before. */
  #guestEnd = -1;
  #said = 0;
  #edge = 0;
  /** Something is to be acknowledged, or the window has grown. */
  #due = false;
  /** Segments that have to be answered, each by an ACK of its own (RFC 9293, 3.10.7.4). */
  #owed = 0;

  /** @param scales the window scales of guest and network: 0 where none are used */
  constructor(now: () => number, scale: number, networkScale: number) {
    this.#now = now;
    this.#scale = scale;
    this.#networkScale = networkScale;
  }

  /** The host has taken bytes: the guest may be told of a larger window. */
  taken(): void {
    this.#due = true;
  }

  /** Time has passed: if the NIC had no room at a time-out, what was to be sent again comes when there is. */
  passed(): void {
    const isDue = this.#next > this.#una && this.#now() - this.#timerFrom >= MIN_TIMEOUT_MS;
    if (isDue) this.#allowRepeat();
  }

  /** A segment of the guest has arrived at the network. */
  toNetwork(segment: AuditedSegment): void {
    const { flags, length } = segment;
    if ((flags & SYN) !== 0) {
      this.#guestSyn = segment.sequence;
      this.#guestWindow = segment.window;
      this.#synAgain = true;
      return;
    }
    const from = (segment.sequence - this.#guestSyn - 1) | 0;
    const end = from + length + (flags & FIN);
    this.#guestNext = Math.max(this.#guestNext, end);
    if ((flags & FIN) !== 0) this.#guestEnd = end;
    const least = this.#least;
    const isAcceptable = this.#receive(from, end, flags & FIN);
    if (isAcceptable === "no") return;
    const acknowledged = (segment.acknowledged - this.#networkSyn - 1) | 0;
    const said = {
      from,
      end,
      acknowledged,
      window: segment.window << this.#scale,
      at: this.#now(),
      least,
    };
    if (isAcceptable === "yes") {
      this.#hear(said);
    } else if (acknowledged <= this.#next) {
      this.#perhaps.push(said);
      this.#guestEdge = Math.max(this.#guestEdge, acknowledged + said.window);
    }
  }

  /** The ACK and the window of an acceptable segment. */
  #hear({ from, end, acknowledged, window, at }: Said): void {
    if (acknowledged > this.#next) {
      this.#owed++; // it acknowledges what was never sent
      return;
    }
    if (acknowledged < this.#una) return;
    this.#perhaps = this.#perhaps.filter((said) => said.acknowledged > acknowledged);
    const isNews = acknowledged > this.#una;
    if (isNews) {
      this.#una = acknowledged;
      this.#timerFrom = at;
      this.#duplicateAcks = 0;
    } else if (end === from && window === this.#guestWindow && this.#next > acknowledged) {
      if (++this.#duplicateAcks === DUPLICATES) this.#allowRepeat(); // RFC 5681, 3.2
    }
    this.#guestEdge = Math.max(this.#guestEdge, acknowledged + window);
    // A segment sent before the last one that said a window says none, unless it acknowledges more (SND.WL1, WL2).
    if (!isNews && from < this.#windowFrom) return;
    this.#windowFrom = from;
    this.#guestWindow = window;
  }

  /** RFC 9293, 3.10.7.4, first: whether the segment is acceptable. */
  #receive(from: number, end: number, fin: number): "yes" | "no" | "perhaps" {
    if (from < this.#received && end <= this.#received) {
      this.#owed++;
      return end > this.#least ? "perhaps" : "no";
    }
    const isSure = this.#unsure ? "perhaps" : "yes";
    if (from > this.#received) {
      this.#owed++; // not owed for an ACK alone, but allowed
      if (from > this.#edge) return "no";
      if (end > from) this.#early.push([from, end]);
      return isSure;
    }
    if (end === from) return isSure;
    this.#due = true;
    // A FIN with all data before it in the window may be taken: it needs no room. Else it is cut off with the data.
    this.#received = Math.min(end, this.#edge + fin);
    const isFinUnsure = fin === 1 && end === this.#edge + 1;
    this.#least = this.#received - (isFinUnsure ? 1 : 0);
    if (isFinUnsure) this.#unsure = true;
    this.#early = this.#early.filter(([, last]) => last > this.#received);
    if (this.#early.some(([early]) => early <= this.#received)) this.#unsure = true;
    return isSure;
  }

  /** The guest's NIC takes a segment of the network. */
  fromNetwork(segment: AuditedSegment): void {
    this.seen++;
    const { flags, length } = segment;
    if ((flags & RST) !== 0) {
      // Both ends are over, and the network has forgotten them (RFC 9293, 3.10.7.1).
      for (const said of this.#perhaps) this.#hear(said);
      if (!this.mayReset && !(this.isAcknowledged && this.#said === this.#guestEnd))
        throw new Error("an RST without a cause");
      return;
    }
    if ((flags & SYN) !== 0) {
      this.#syn(segment);
      return;
    }
    const from = (segment.sequence - this.#networkSyn - 1) | 0;
    const span = length + (flags & FIN);
    this.#checkAcknowledgement(segment);
    if (span > 0) this.#checkSent(from, length, (flags & FIN) !== 0);
    else if (from === this.#una - 1 && this.event !== "other") this.#checkProbe();
    else if (this.event !== "other" && this.#perhaps.some((said) => said.acknowledged - 1 === from)) return;
    else this.#checkAck(from);
    this.#due = false; // each segment carries the ACK and the window (RFC 9293, 3.8.6.3)
  }

  /** Whether the guest has acknowledged all that the host gave, and its end. */
  get isAcknowledged(): boolean {
    return this.ended && this.#una === this.given + 1;
  }

  /** Whether it is unknown which acknowledgements of the guest the network took: a plain ACK would settle it. */
  get isUnsure(): boolean {
    return this.#perhaps.length > 0;
  }

  #syn(segment: AuditedSegment): void {
    if (segment.acknowledged !== ((this.#guestSyn + 1) | 0)) throw new Error("the SYN is not acknowledged");
    if (this.#networkSyn !== -1) {
      if (segment.sequence !== this.#networkSyn) throw new Error("another SYN");
      const isDue = this.event !== "other" && this.#now() - this.#synAt >= MIN_TIMEOUT_MS;
      if (!isDue && !this.#synAgain) throw new Error("the SYN again without a cause");
      if (isDue) this.#synAt = this.#now();
    } else {
      this.#synAt = this.#now();
    }
    this.#synAgain = false;
    this.#networkSyn = segment.sequence;
    this.#edge = segment.window;
  }

  #checkAcknowledgement(segment: AuditedSegment): void {
    if ((segment.flags & ACK) === 0) throw new Error("a segment without an ACK");
    const acknowledged = (segment.acknowledged - this.#guestSyn - 1) | 0;
    if (acknowledged > this.#guestNext) throw new Error("acknowledges what was never sent");
    if (acknowledged < this.#said) throw new Error("the acknowledgement moves back");
    this.#said = acknowledged;
    // If RCV.NXT is what it was at least, it is known which segments were acceptable. If it is more, when did it become so?
    for (const said of this.#perhaps.filter(({ least }) => least === acknowledged)) {
      this.#perhaps.splice(this.#perhaps.indexOf(said), 1);
      const isNew = said.end === said.from ? said.from >= acknowledged : said.end > acknowledged;
      if (isNew) this.#hear(said);
    }
    this.#received = acknowledged;
    this.#least = acknowledged;
    this.#unsure = false;
    this.#early = this.#early.filter(([, end]) => end > acknowledged);
    const edge = acknowledged + (segment.window << this.#networkScale);
    // Rounding by the scale does not shrink the window (RFC 7323, 2.4).
    if (edge <= this.#edge - (1 << this.#networkScale)) {
      throw new Error(`the window's right edge moves back from ${this.#edge} to ${edge}`);
    }
    this.#edge = Math.max(this.#edge, edge);
  }

  #checkSent(from: number, length: number, fin: boolean): void {
    const end = from + length;
    if (end > this.given) throw new Error(`sends up to ${end} of ${this.given} bytes`);
    if (fin && !(this.ended && end === this.given)) throw new Error("a FIN before the end");
    if (from > this.#next) throw new Error("leaves out sequence numbers");
    if (from > this.given || (this.#finSent && from >= this.given && !fin)) throw new Error("beyond the FIN");
    if (length > 0 && end > this.#guestEdge) throw new Error(`sends ${end - this.#guestEdge} bytes beyond the window`);
    const next = end + (fin ? 1 : 0);
    if (next <= this.#una) throw new Error("sends again what was acknowledged");
    if (from < this.#next && !this.isUnsure) this.#checkRepeat(from, next);
    if (this.#next === this.#una) this.#timerFrom = this.#now();
    this.#finSent ||= fin;
    this.#next = Math.max(this.#next, next);
  }

  /** Something is sent again: for a time-out, or for three duplicate ACKs, and then in order, each byte once. */
  #checkRepeat(from: number, next: number): void {
    if (this.event !== "other" && this.#now() - this.#timerFrom >= MIN_TIMEOUT_MS && from === this.#una) {
      this.#timerFrom = this.#now();
      this.#allowRepeat();
      this.#duplicateAcks = DUPLICATES; // RFC 6582, 3.2: after a time-out they mean no loss
    }
    if (from < this.#repeated || from >= this.#repeatTo)
      throw new Error(`sends ${from} to ${next} again without a cause`);
    this.#repeated = next;
  }

  #allowRepeat(): void {
    this.#repeated = this.#una;
    this.#repeatTo = this.#next;
  }

  /** RFC 9293, 3.8.6.1: a closed window is asked about after a time-out. */
  #checkProbe(): void {
    const now = this.#now();
    if (this.#guestWindow > 0) throw new Error("asks for a window that is open");
    if (this.given + (this.ended ? 1 : 0) <= this.#una) throw new Error("asks for a window it does not need");
    if (this.event === "room") return; // it was due some time ago
    const gap = now - Math.max(this.#probedAt, this.#timerFrom);
    if (gap < MIN_TIMEOUT_MS) throw new Error(`asks for a window after ${gap} ms`);
    this.#probedAt = now;
  }

  /** An ACK that carries nothing. */
  #checkAck(from: number): void {
    if (from < this.#una || from > this.#next) throw new Error("an ACK with a sequence number of no use");
    if (this.#due) return;
    if (this.#owed === 0) throw new Error("an ACK without a cause");
    this.#owed--;
  }
}
