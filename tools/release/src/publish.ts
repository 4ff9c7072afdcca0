/**
 * Gives the packages to the registry.
 *
 * @module
 */
import { pnpm } from "./run.ts";

/**
 * Publishes each package whose version the registry does not have.
 *
 * @param copy - a copy of the repository, made for a release
 * @throws Error if the registry refuses one; those before it are published
 */
export async function publishAll(copy: string): Promise<void> {
  await pnpm(copy, "--recursive", "--filter", "./packages/*", "publish", "--no-git-checks");
}
