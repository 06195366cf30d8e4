// The texts that are there from the start; those of the other areas come with their pages.
import common from "./common.en";
import login from "./login.en";
import portal from "./portal.en";

export default { ...common, ...login, ...portal } as const;
