// @ts-check
/** Types of arguments, which JavaScript leaves to us. Whether a value is any good is the core's to say. */

import { wrongArgument } from "./error.js";

/** The name of a type by its tag, which also holds for objects of another realm. @param {unknown} value */
export const tag = (value) => Object.prototype.toString.call(value).slice(8, -1);

/** @param {unknown} value @param {string} field @returns {string} */
export function text(value, field) {
  if (typeof value !== "string") throw wrongArgument(field, "a string");
  return value;
}

/** @param {unknown} value @param {string} field @returns {string | undefined} */
export const optionalText = (value, field) => (value === undefined || value === null ? undefined : text(value, field));

/** @param {unknown} value @param {string} field @returns {number} */
export function number(value, field) {
  if (typeof value !== "number") throw wrongArgument(field, "a number");
  return value;
}

/** @param {unknown} value @param {string} field @returns {number | undefined} */
export const optionalNumber = (value, field) => (value === undefined || value === null ? undefined : number(value, field));

/**
 * @template {object} T
 * @param {T | null | undefined} value
 * @param {string} field
 * @returns {T}
 */
export function object(value, field) {
  if (typeof value !== "object" || value === null) throw wrongArgument(field, "an object");
  return value;
}
