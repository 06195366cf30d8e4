// The texts that are there from the start; those of the other areas come with their pages.
import common from "./common.cs";
import login from "./login.cs";
import portal from "./portal.cs";

export default { ...common, ...login, ...portal } as const;
