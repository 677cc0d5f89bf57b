// Makes hl7.fhir.r4.core#4.0.1 (and the empty packages that SUSHI asks for) from HL7's own XML files of R4.
// usage: node r4-package.js FOLDER_WITH_XML PACKAGES_FOLDER
const fs = require("node:fs");
const path = require("node:path");
const { Fhir } = require("fhir-tool"); // the XML reader that SUSHI itself uses

const [source, packages] = process.argv.slice(2);
const kept = new Set(["StructureDefinition", "ValueSet", "CodeSystem"]);
const xml = new Fhir();

function makePackage(name, version, resources) {
  const folder = path.join(packages, `${name}#${version}`, "package");
  fs.mkdirSync(folder, { recursive: true });
  const manifest = { name, version, fhirVersions: ["4.0.1"], type: "fhir.core", canonical: "http://hl7.org/fhir", dependencies: {} };
  fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify(manifest));
  for (const resource of resources) {
    fs.writeFileSync(path.join(folder, `${resource.resourceType}-${resource.id}.json`), JSON.stringify(resource));
  }
}

const definitions = fs
  .readdirSync(source, { recursive: true })
  .filter((file) => file.endsWith(".xml"))
  .flatMap((file) => xml.xmlToObj(fs.readFileSync(path.join(source, file), "utf8")).entry)
  .map((entry) => entry.resource)
  .filter((resource) => kept.has(resource.resourceType));

makePackage("hl7.fhir.r4.core", "4.0.1", definitions);
for (const name of ["hl7.terminology.r4", "hl7.fhir.uv.extensions.r4", "hl7.fhir.uv.tools.r4"]) {
  makePackage(name, "0.0.0", []); // pinned to this version in sushi-config.yaml
}
