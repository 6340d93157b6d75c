#!/usr/bin/env node
const message: string = "edgewise: no commands yet";
console.log(message);
