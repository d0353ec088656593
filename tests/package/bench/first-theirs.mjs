// The same by otpauth and qrcode.

import { Secret, TOTP } from "otpauth";
// @ts-expect-error: it has no types of its own
import { toString } from "qrcode";

import { show } from "./show.mjs";

const uri = new TOTP({ secret: new Secret({ size: 20 }), issuer: "Example", label: "ann@example.com" }).toString();
show(await toString(uri, { type: "svg", errorCorrectionLevel: "M" }));
