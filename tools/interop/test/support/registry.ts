/** A registry on this machine, for nothing but our packages, as they would be published. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { publishAll, withReleaseCopy } from "@virtio-ts/release";
import { workspaceRoot } from "@virtio-ts/terminal";
import { runServer } from "verdaccio";

/** What the owner will have filled in by the time of a release. */
const FACTS = {
  repository: "https://code.example/house.git",
  homepage: "https://house.example",
  bugs: "https://code.example/house/issues",
  author: "The Owner",
};

/** A registry at work. */
export interface Registry {
  /** The lines of an `.npmrc` by which npm finds our packages there, and all others where it finds them otherwise. */
  readonly npmrc: string;
  close(): void;
}

/** Starts a registry and publishes in it what `pnpm release` would publish of the last commit. */
export async function registryWithPackages(): Promise<Registry> {
  const storage = mkdtempSync(join(tmpdir(), "virtio-ts-registry-"));
  const server = await listen(storage);
  const { port } = server.address() as AddressInfo;
  const npmrc = `@virtio-ts:registry=http://127.0.0.1:${port}/\n`;
  const close = (): void => {
    server.close();
    server.closeAllConnections();
    rmSync(storage, { recursive: true, force: true });
  };
  try {
    const token = await register(`http://127.0.0.1:${port}/-/user/org.couchdb.user:owner`);
    await withReleaseCopy(workspaceRoot(), FACTS, (copy) => {
      writeFileSync(join(copy, ".npmrc"), `${npmrc}//127.0.0.1:${port}/:_authToken=${token}\n`);
      return publishAll(copy);
    });
  } catch (error) {
    close();
    throw error;
  }
  return { npmrc, close };
}

/** It has no registry behind it: a package of ours that is not published here is nowhere. */
async function listen(storage: string): Promise<Server> {
  const app: Server = await runServer({
    storage,
    configPath: join(storage, "config.yaml"),
    auth: { htpasswd: { file: join(storage, "users") } },
    uplinks: {},
    packages: { "@virtio-ts/*": { access: "$all", publish: "$authenticated" } },
    web: { enable: false },
    log: { type: "stdout", level: "fatal" },
  } as unknown as Parameters<typeof runServer>[0]);
  return await new Promise((resolve) => {
    app.listen(0, "127.0.0.1", () => resolve(app));
  });
}

/** Makes a user, and returns the token that lets it publish. */
async function register(url: string): Promise<string> {
  const body = JSON.stringify({ name: "owner", password: "a password" });
  const answer = await fetch(url, { method: "PUT", headers: { "content-type": "application/json" }, body });
  return ((await answer.json()) as { token: string }).token;
}
