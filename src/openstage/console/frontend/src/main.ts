// The one script of all pages.

import { arrive } from "./page";

arrive();
