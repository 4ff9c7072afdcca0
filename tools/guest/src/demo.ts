/**
 * The project's main job: an unmodified Debian kernel on our NIC. `pnpm demo --help` says the rest.
 *
 * @module
 */
import { demoMain } from "./demo/main.ts";

process.exitCode = await demoMain(process.argv.slice(2));
