import { startLanguage } from "/static/common.js";

startLanguage();
