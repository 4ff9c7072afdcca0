/**
 * Plays tests with one place of the sources broken, as `VIRTIO_TS_PROOF` says: the broken text is what is loaded, the
 * file stays as it is.
 *
 * @module
 */
import { defineConfig } from "vitest/config";

const { file, from, to } = JSON.parse(process.env.VIRTIO_TS_PROOF ?? "{}") as Record<string, string>;

export default defineConfig({
  ssr: { resolve: { conditions: ["virtio-ts-source", "module", "node", "development|production"] } },
  plugins: [
    {
      name: "break-the-source",
      enforce: "pre",
      transform: (code, id) => (id.endsWith(`/${file}`) ? code.replace(from ?? "", () => to ?? "") : undefined),
    },
  ],
  test: { include: ["packages/*/test/**/*.test.ts"], testTimeout: 60_000 },
});
