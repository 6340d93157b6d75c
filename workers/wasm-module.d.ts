declare module "*/kernels.wasm" {
  const module: WebAssembly.Module;
  export default module;
}
