/** The alias under which Express 4 is installed beside 5; the parts that the tests use are the same in both. */
declare module "express4" {
  import express from "express";
  export default express;
}
