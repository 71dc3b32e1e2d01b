import "./style/base.css";
import "./style/forms.css";
import "./style/parts.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { theme } from "./lib/theme.svelte";

theme.apply();
mount(App, { target: document.getElementById("page")! });
