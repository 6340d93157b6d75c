/** The part of the WebAssembly JavaScript API that the kernel uses; Node's types leave it to the DOM library. */
declare namespace WebAssembly {
  class Module {
    static exports(module: Module): { name: string; kind: string }[];
    constructor(bytes: ArrayBufferView | ArrayBuffer);
  }
  class Memory {
    readonly buffer: ArrayBuffer;
    constructor(descriptor: { initial: number; maximum?: number; shared?: boolean });
    grow(pages: number): number;
  }
  class Instance {
    readonly exports: Record<string, unknown>;
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
  }
}
