declare module "hls.js/dist/hls.min.mjs" {
  export { default } from "hls.js";
}
