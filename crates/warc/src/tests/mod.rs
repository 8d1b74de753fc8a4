mod answers;
mod corpus;
mod laws;
mod support;
