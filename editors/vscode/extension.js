// Starts `mtlc lsp` for .mtl files.  Without the client library there are colours alone.
"use strict";
const vscode = require("vscode");

let client;

exports.activate = function () {
	let library;
	try {
		library = require("vscode-languageclient/node");
	} catch {
		return;
	}
	const command = vscode.workspace.getConfiguration("mtl").get("server") || "mtlc";
	client = new library.LanguageClient("mtl", "mtlc", { command, args: ["lsp"] }, { documentSelector: [{ language: "mtl" }] });
	client.start();
};

exports.deactivate = function () {
	return client && client.stop();
};
