import vue from "@vitejs/plugin-vue";

const isCustomElement = (tag) => tag.startsWith("billing-");

export default { plugins: [vue({ template: { compilerOptions: { isCustomElement } } })] };
