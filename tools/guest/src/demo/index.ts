/**
 * The demo's parts, for tests that need a guest with our NIC and a network behind it.
 *
 * @module
 */
export { BlobServer } from "./blob-server.ts";
export { type Fetched, fetchAll } from "./fetch.ts";
export { demoMain } from "./main.ts";
export type { NicChoice } from "./nic-choice.ts";
export { featureName } from "./report.ts";
export { GATEWAY, HOST_NAME, type Session, type SessionOptions, startSession } from "./session.ts";
export { guestToHost, hostToGuest, type TransferReport } from "./transfers.ts";
