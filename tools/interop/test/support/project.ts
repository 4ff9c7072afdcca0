/** A project of somebody else's, in a folder that is nobody's. */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** What tests read of a package.json. */
export interface Manifest {
  readonly name: string;
  readonly exports: object;
}

/** A project in which packages are installed. */
export class Project {
  readonly folder: string = mkdtempSync(join(tmpdir(), "virtio-ts-project-"));

  /**
   * A new project, with packages installed by npm.
   *
   * @param npmrc - where npm finds our packages
   * @param packages - their names
   */
  static async with(npmrc: string, packages: readonly string[]): Promise<Project> {
    const project = new Project();
    project.write("package.json", JSON.stringify({ private: true, type: "module" }));
    project.write(".npmrc", npmrc);
    await project.run("npm", "install", "--no-audit", "--no-fund", ...packages);
    return project;
  }

  /** Writes a file. */
  write(file: string, text: string): void {
    writeFileSync(join(this.folder, file), text);
  }

  /** The names in a folder, sorted. */
  list(folder: string): string[] {
    return readdirSync(join(this.folder, folder))
      .filter((name) => !name.startsWith("."))
      .sort();
  }

  /** A manifest of a package that is installed. */
  manifest(name: string): Manifest {
    return JSON.parse(readFileSync(join(this.folder, "node_modules", name, "package.json"), "utf8"));
  }

  /** Runs a program, and returns what it printed to standard output. */
  async run(program: string, ...args: string[]): Promise<string> {
    try {
      return (await execute(program, args, { cwd: this.folder })).stdout;
    } catch (error) {
      const { stdout, stderr, message } = error as Error & { readonly stdout?: string; readonly stderr?: string };
      throw new Error(`${message}\n${stdout}${stderr}`, { cause: error });
    }
  }

  /** Removes it. */
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
