// From the arrival of this script to a QR code that the browser has decoded.

import { buildUri, generateSecret, qrSvg } from "sidekey";

import { show } from "./show.mjs";

const uri = buildUri({ secret: generateSecret(), issuer: "Example", account: "ann@example.com" });
show(qrSvg(uri));
