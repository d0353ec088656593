// In the page: both sides in one bundle, so that neither waits for the other's bytes.

import * as otpauth from "otpauth";
// @ts-expect-error: it has no types of its own
import qrcode from "qrcode";
import * as sidekey from "sidekey";

import { contest } from "./contest.mjs";

Object.assign(globalThis, { contest: () => contest({ sidekey, otpauth, qrcode }) });
