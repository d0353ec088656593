// @ts-check
/** Registers the elements when it is imported: `<script type="module" src="…/elements/auto.js">`. */

import { define } from "./index.js";

define();
