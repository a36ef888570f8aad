// The reference tus server with its defaults: node server.mjs PORT FOLDER
import http from 'node:http'
import {Server} from '@tus/server'
import {FileStore} from '@tus/file-store'

const [port, directory] = process.argv.slice(2)
const tus = new Server({path: '/files', datastore: new FileStore({directory})})
http.createServer((request, response) => tus.handle(request, response)).listen(Number(port), '127.0.0.1')
