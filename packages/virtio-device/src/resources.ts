/**
 * Resources: what a device needs from its machine besides memory, and what the machine granted.
 * @module
 */

/** One resource that a device asks for before it gets a transport. */
export type ResourceRequest =
  /** A range of I/O ports. */
  | { readonly kind: "ports"; readonly size: number; readonly align: number; readonly address?: number }
  /** A range of the guest's physical address space, for registers. */
  | { readonly kind: "mmio"; readonly size: number; readonly align: number; readonly address?: number }
  /** A range of the guest's physical address space, for shared memory. */
  | { readonly kind: "shared-memory"; readonly size: number; readonly align: number }
  /** An interrupt line. */
  | { readonly kind: "interrupt-line"; readonly line?: number }
  /** Message-signalled vectors. */
  | { readonly kind: "messages"; readonly count: number };

/** The grant for a {@link ResourceRequest} of the same kind. */
export type Resource =
  | { readonly kind: "ports" | "mmio" | "shared-memory"; readonly address: number; readonly size: number }
  | { readonly kind: "interrupt-line"; readonly line: number }
  | { readonly kind: "messages"; readonly count: number };
